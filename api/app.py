"""The application: context, guard, resources, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from api.dashboard import mount_dashboard, mount_docs
from api.errors import handlers
from api.http import openapi
from api.middleware.guard import Guard
from api.middleware.head import Head
from api.middleware.requests import Requests
from api.resources.artifacts.endpoints import router as artifacts
from api.resources.catalogue.endpoints import router as catalogue
from api.resources.curves.endpoints import router as curves
from api.resources.datasets.endpoints import router as datasets
from api.resources.disagreements.endpoints import router as disagreements
from api.resources.exports.endpoints import router as exports
from api.resources.history.endpoints import router as history
from api.resources.jobs.endpoints import router as jobs
from api.resources.keys.endpoints import router as keys
from api.resources.predictions.endpoints import router as predictions
from api.resources.publications.endpoints import router as publications
from api.resources.secrets.endpoints import router as secrets
from api.resources.studies.endpoints import router as studies
from api.resources.studies.results_endpoints import router as study_results
from api.resources.system.endpoints import router as system
from api.resources.system.service import installed_version
from api.resources.teachers.endpoints import router as teachers
from api.resources.tenants.endpoints import router as tenants
from api.resources.uploads.endpoints import router as uploads
from api.resources.webhooks.endpoints import router as webhooks
from api.state.context import Context, open_context
from api.state.exposition import Timing
from store.database import Database
from store.doorbell import Doorbell
from store.objects import ObjectStore
from store.settings import Settings

ROUTERS = (
    *(uploads, teachers, datasets, jobs, curves, history, exports, predictions, disagreements, publications, artifacts),
    *(studies, study_results),
    *(catalogue, secrets, webhooks, keys, tenants, system),
)


def create_app(
    settings: Settings | None = None,
    database: Database | None = None,
    objects: ObjectStore | None = None,
    doorbell: Doorbell | None = None,
) -> FastAPI:
    """The service over these parts; what is None is opened from the settings (None: from the environment). The
    database must have been migrated; the first tenant and its key are made at start."""
    context = open_context(settings, database, objects, doorbell)
    app = FastAPI(
        title="Retort",
        version=installed_version(),
        lifespan=_lifespan,
        routes=list(_routes()),
        redirect_slashes=False,
        openapi_url=None,  # FastAPI's own makes the document in the event loop, which takes a second
        docs_url=None,  # FastAPI's own come from a CDN
        redoc_url=None,
    )
    app.state.context = context
    mount_docs(app)
    mount_dashboard(app, store_url=context.settings.s3_public_endpoint)
    app.add_middleware(Timing, exposition=context.exposition)
    app.add_middleware(Head)
    app.add_middleware(Guard, settings=context.settings)
    app.add_middleware(Requests)
    handlers.install(app)
    openapi.install(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Of all resources, for every application of this process: FastAPI analyses them at their first requests, which
    takes a tenth of a second of processor time."""
    together = APIRouter(responses=openapi.COMMON)
    for router in ROUTERS:
        together.include_router(router)
    return tuple(together.routes)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    current_default_thread_limiter().total_tokens = context.lanes.threads
    await run_in_threadpool(context.prepare)
    yield
