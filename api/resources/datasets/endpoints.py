"""/datasets."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.http.auth import TenantDep
from api.http.files import respond, still_there
from api.http.idempotency import IdempotencyKeyDep
from api.http.negotiation import Prefer
from api.http.openapi import body, documented
from api.http.preconditions import IfMatch
from api.http.uploads import RolesDep
from api.resources.datasets import service
from api.resources.datasets.schemas import (
    FORM_EXAMPLE,
    FORM_SCHEMA,
    NAMED_EXAMPLE,
    DatasetFromReferences,
    DatasetFromShards,
    DatasetFromUploads,
    DatasetOut,
    DatasetPage,
    NamedDataset,
)
from api.services import registration
from api.services.registered import Kind, add_routes
from api.state.deps import ContextDep, Storing, WorkDep
from store.tables import Dataset
from store.thumbnails import MEDIA_TYPE

JSON_BODIES = (NamedDataset, DatasetFromUploads, DatasetFromReferences, DatasetFromShards)
_WEBP = {MEDIA_TYPE: {"schema": {"type": "string", "contentMediaType": MEDIA_TYPE}}}
router = APIRouter(tags=["datasets"])


@router.post(
    "/datasets",
    operation_id="register_dataset",
    summary="Register a dataset",
    status_code=201,
    responses=documented(
        409, 413, 415, 422, also={202: {"model": DatasetOut, "description": "Still being inspected; see Location."}}
    ),
    openapi_extra=body(
        json=(JSON_BODIES, NAMED_EXAMPLE),
        form=(FORM_SCHEMA, FORM_EXAMPLE),
    ),
)
async def register_dataset(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    upload: RolesDep,
    response: Response,
    prefer: Prefer = None,
) -> DatasetOut:
    """Upload an ImageFolder as zip or tar, an image parquet, CSV or JSON Lines, whole or as train and test; or use a
    named set, uploads, or files that the service fetches from where the operator allows; or, with `"mode": "stream"`,
    leave shards where they lie. CSV, JSON Lines or parquet of
    texts with labels, pairs of texts, or instructions with answers are told by their columns.

    A worker reads it through once; the answer waits for that (`Prefer: wait=N`). Data that cannot be used is answered
    with 422, which says why, and nothing of it is kept.
    """
    made, replay = await context.lanes.storing.run(service.register, context, tenant, upload, key)
    row = await registration.settled(context, Dataset, tenant, made, prefer)
    registration.answered(response, row, prefer, replay)
    return service.shown(row)


@router.post(
    "/datasets/{dataset_id}/inspect",
    operation_id="inspect_dataset",
    summary="Read the rest of a dataset",
    status_code=202,
    responses=documented(404, 409, 412),
)
def inspect_dataset(
    work: WorkDep, tenant: TenantDep, response: Response, dataset_id: str, if_match: IfMatch = None
) -> DatasetOut:
    """Of a dataset of which a sample was read (`sampled`) workers read all; so they do, from its beginning, of one that
    is `invalid` by the system's fault (`error.fault`). Asking again is no error."""
    registration.unchanged(work, Dataset, tenant, dataset_id, if_match, service.shown)
    response.headers["Location"] = f"/datasets/{dataset_id}"
    return service.shown(service.inspect_on(work, tenant, dataset_id))


FOUND = ": classes, counts, image sizes"
add_routes(router, Kind(Dataset, service.shown, DatasetOut, DatasetPage, finds=FOUND, files="files"))


@router.get(
    "/datasets/{dataset_id}/thumbnails",
    operation_id="get_dataset_thumbnails",
    summary="Show a dataset's thumbnails",
    response_class=Response,
    responses=documented(404)
    | {
        200: {"description": "A contact sheet; the dataset's `thumbnails` say how it is laid out.", "content": _WEBP},
        304: {"description": "Not modified since the answer with that ETag."},
    },
)
def get_dataset_thumbnails(
    context: ContextDep, tenant: TenantDep, place: Storing, request: Request, dataset_id: str
) -> Response:
    """One WebP picture: a row for each of the first 50 classes, with its first 8 training images as square tiles."""

    def look() -> Dataset:
        with context.database.read() as session:
            return registration.find(session, Dataset, tenant, dataset_id)

    sheet = service.sheet(look())
    with still_there(look):
        return respond(context.objects, context.lanes.storing, sheet, request.headers, redirect=False)
