"""What /jobs/{id}/publish does: a publication is a job that sends a finished job's student."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.artifacts import service as artifacts
from api.resources.jobs import companion_row, companions, publishing
from api.resources.jobs.schemas import JobWarning
from api.resources.jobs.service import find
from api.resources.publications.schemas import PublicationCreate, PublicationList, PublicationOut
from api.state.context import Context
from publishing.request import PublicationRequest
from store.repositories import jobs
from store.tables import Job

GIVEN_UP = frozenset({"failed", "cancelled"})


def submit(
    context: Context, tenant: str, job_id: str, body: PublicationCreate, key: str | None
) -> tuple[PublicationOut, bool]:
    """Queue the publication; the publication, and whether it was asked for before. Raises `Conflict` and
    `Unprocessable`."""

    def make(session: Session) -> Job:
        source = find(session, tenant, job_id)
        companions.check_finished(session, source, "publish")
        publishing.check(session, context.settings, tenant, body)
        request = body.model_dump(mode="json", exclude={"again"})
        earlier = None if body.again else _earlier(session, source, request)
        name = f"{body.target} of {source.name or source.id}"
        return earlier or companion_row.row(context.settings, source, name, publication=request)

    sent = body.model_dump(mode="json")
    return companions.submit(context, tenant, f"/jobs/{job_id}/publish", sent, key, make, _shown)


def _earlier(session: Session, source: Job, request: dict[str, Any]) -> Job | None:
    """The newest publication that was asked for in the same words and was not given up."""
    same = [each for each in jobs.publications(session, source.id) if each.publication == request]
    return next((each for each in reversed(same) if each.status not in GIVEN_UP), None)


def listed(session: Session, tenant: str, job_id: str) -> PublicationList:
    job = find(session, tenant, job_id)
    return PublicationList(items=[_shown(session, each) for each in jobs.publications(session, job.id)])


def shown(session: Session, tenant: str, job_id: str, publication_id: str) -> PublicationOut:
    """Raises `NotFound`."""
    return companions.one_of(listed(session, tenant, job_id).items, job_id, "publication", publication_id)


def _shown(session: Session, job: Job) -> PublicationOut:
    request = PublicationRequest.model_validate(job.publication)
    return PublicationOut(
        id=job.id,
        job=job.student_of or "",
        target=request.target,
        parameters=request.parameters,
        secret=request.secret,
        status=job.status,
        attempt=job.attempt,
        error=job.error,
        warnings=[JobWarning.model_validate(each) for each in (job.warnings or {}).values()],
        receipt=(job.result or {}).get("publication"),
        files=[artifacts.shown(row) for row in jobs.artifacts(session, job.id)],
        created_at=job.created_at,
        finished_at=job.finished_at,
        links={"self": companions.link(job), "job": f"/jobs/{job.id}", "events": f"/jobs/{job.id}/events"},
    )
