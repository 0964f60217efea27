"""Changes to a job that are none of its course: preconditions, and what its owner may rename."""

from __future__ import annotations

from api.http.preconditions import own, require
from api.resources.jobs import service, tags
from api.resources.jobs.schemas import JobPatch
from api.state.deps import Work
from store.tables import Job


def unchanged(work: Work, tenant: str, job_id: str, if_match: str | None) -> None:
    """Raise `PreconditionFailed` when the job is not as `If-Match` says, but for the course of its run; it stays so
    until commit. (`NotFound` first: another tenant's job has no tag. And what is wrong with the request itself comes
    before both, RFC 9110 13.2.1, so this is no dependency.)"""
    if if_match is not None:
        job = service.locked(work.session, tenant, job_id)
        require(if_match, tags.tag_of(service.shown(work.session, work.context.settings, job)), own)


def patch(work: Work, tenant: str, job_id: str, body: JobPatch) -> Job:
    """Write what the body names. A priority counts from the next time that a worker looks for work."""
    job = service.locked(work.session, tenant, job_id)
    for name in body.model_fields_set:
        setattr(job, name, getattr(body, name))
    work.session.flush()
    return job
