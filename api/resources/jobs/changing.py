"""Changes to a job that are none of its course: preconditions, and what its owner may rename."""

from __future__ import annotations

from api.auth import TenantDep
from api.deps import Work, WorkDep
from api.preconditions import IfMatch, require, tag_of
from api.resources.jobs import service
from api.resources.jobs.schemas import JobPatch
from store.repositories import jobs
from store.tables import Job


def unchanged(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> None:
    """Raise `PreconditionFailed` when the job is not as `If-Match` says; it stays so until commit. (`NotFound` first:
    another tenant's job has no tag.)"""
    if if_match is not None:
        job = service.find(work.session, tenant, job_id)
        jobs.lock(work.session, job)
        require(if_match, tag_of(service.shown(work.session, job)))


def patch(work: Work, tenant: str, job_id: str, body: JobPatch) -> Job:
    """Write what the body names. A priority counts from the next time that a worker looks for work."""
    job = service.find(work.session, tenant, job_id)
    for name in body.model_fields_set:
        setattr(job, name, getattr(body, name))
    work.session.flush()
    return job
