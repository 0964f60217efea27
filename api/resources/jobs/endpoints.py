"""/jobs and the actions on one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from api.http.auth import TenantDep
from api.http.forms import labels_filter
from api.http.idempotency import IdempotencyKeyDep, located
from api.http.negotiation import IfNoneMatch, Prefer, applied, wait_seconds
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.http.preconditions import CONDITIONAL, HEADERS, IfMatch, stamped, tagged
from api.resources.jobs import budgets, changing, extending, pruning, service, tags
from api.resources.jobs.schemas import CREATE_EXAMPLES, DryRun, JobCreate, JobExtend, JobOut, JobPage, JobPatch
from api.services import waiting
from api.state.context import Context
from api.state.deps import ContextDep, ListSession, WorkDep
from store.repositories import jobs
from store.states import TERMINAL, Status

router = APIRouter(tags=["jobs"])
_SEARCH = "Words, each of which must be in the id, name, recipe, status or student's name."
EXAMPLES = {"feature_only": {"value": CREATE_EXAMPLES[0]}, "cross_entropy": {"value": CREATE_EXAMPLES[1]}}
DryRunWanted = Annotated[bool, Query(description="Check everything, estimate, queue nothing.")]
ACCEPTED = "Dry run: the job would be accepted."


async def _queued(
    context: Context,
    tenant: str,
    key: str | None,
    body: JobCreate,
    response: Response,
    prefer: str | None,
    dry_run: bool,
) -> JobOut | DryRun:
    dataset = await service.dataset_id(context, tenant, body, prefer)
    body = await pruning.settled(context, tenant, body, dataset)
    body, sized = await budgets.settled(context, tenant, body, dataset, prefer)
    if dry_run:
        response.status_code = 200
        return await service.dry_run(context, tenant, body, dataset, prefer, sized)
    await service.rehearse(context, tenant, body, dataset, key, prefer)
    job, replay = await context.lanes.writing.run(service.submit, context, tenant, body, dataset, key, sized)
    located(response, job.links["self"], replay)
    return job


@router.post(
    "/jobs",
    operation_id="create_job",
    summary="Submit a job",
    status_code=202,
    responses=documented(409, 413, 415, 422, also={200: {"model": DryRun, "description": ACCEPTED}}),
)
async def create_job(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    body: Annotated[JobCreate, Body(openapi_examples=EXAMPLES)],
    response: Response,
    prefer: Prefer = None,
    dry_run: DryRunWanted = False,
) -> JobOut | DryRun:
    """Queue a distillation (or, without a teacher, plain training). Every name and number is checked first; the
    answer comes when the job is safely in the queue, with its `Location`.

    A dry run also estimates memory, disk and minutes, each with its range and basis; networks that nobody has asked
    about before are measured by a worker first (`Prefer: wait=N`)."""
    return await _queued(context, tenant, key, body, response, prefer, dry_run)


@router.get("/jobs", operation_id="list_jobs", summary="List jobs", responses=documented(422))
def list_jobs(  # noqa: PLR0913 - FastAPI: a parameter each of the request
    context: ContextDep,
    session: ListSession,
    tenant: TenantDep,
    cursor: Cursor,
    limit: Limit = 50,
    status: Annotated[list[Status] | None, Query(description="Only these; may be repeated.")] = None,
    recipe: Annotated[str | None, Query(max_length=80, description="Only this recipe.")] = None,
    label: Annotated[list[str] | None, Query(description="`name:value`; may be repeated: all must hold.")] = None,
    search: Annotated[str, Query(max_length=100, description=_SEARCH)] = "",
) -> JobPage:
    """Your jobs, newest first."""
    statuses = [str(each) for each in status or []]
    rows, more = jobs.page(session, tenant, cursor, limit, statuses, recipe, labels_filter(label), search)
    return JobPage(
        items=service.shown_all(session, context.settings, rows), next_cursor=encode(rows[-1].id) if more else None
    )


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="Show a job",
    response_model=JobOut,
    responses=documented(404, also=CONDITIONAL),
)
async def get_job(
    context: ContextDep,
    tenant: TenantDep,
    job_id: str,
    response: Response,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> JobOut | Response:
    """One job. With `Prefer: wait=N` the answer comes when something has changed (since `If-None-Match`, or since
    the request), when the job has ended, or after N seconds."""

    def look() -> JobOut:
        with context.database.read() as session:
            return service.shown(session, context.settings, service.find(session, tenant, job_id))

    def known(job: JobOut) -> bool:
        return tags.seen(if_none_match, job) and job.status not in TERMINAL

    job = await waiting.changed(context.lanes.reading, look, wait_seconds(prefer), known, tags.course)
    applied(response, prefer)
    return tagged(job, response, if_none_match, tags.tag_of(job))


@router.patch(
    "/jobs/{job_id}",
    operation_id="update_job",
    summary="Rename or label a job",
    responses=documented(404, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
)
def update_job(
    work: WorkDep, tenant: TenantDep, job_id: str, body: JobPatch, response: Response, if_match: IfMatch = None
) -> JobOut:
    """Change a job's name, labels or priority, at any time. With `If-Match` only if nobody else has changed the job."""
    changing.unchanged(work, tenant, job_id, if_match)
    shown = service.shown(work.session, work.context.settings, changing.patch(work, tenant, job_id, body))
    return stamped(shown, response, tags.tag_of(shown))


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    summary="Delete a job",
    status_code=204,
    response_model=None,
    responses=documented(
        404, 409, 412, 422, also={202: {"model": JobOut, "description": "Being cancelled; delete it again when it is."}}
    ),
)
def delete_job(
    work: WorkDep,
    tenant: TenantDep,
    job_id: str,
    response: Response,
    cancel: Annotated[bool, Query(description="Cancel the job first if it is active.")] = False,
    if_match: IfMatch = None,
) -> JobOut | None:
    """Remove an ended job with its history and files. 409 for an active one, unless `cancel` is true."""
    changing.unchanged(work, tenant, job_id, if_match)
    left = service.delete(work, tenant, job_id, cancel)
    if left is None:
        return None
    response.status_code = 202
    return service.shown(work.session, work.context.settings, left)


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    status_code=202,
    responses=documented(404, 409, 412),
)
def cancel_job(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> JobOut:
    """End the job and keep nothing of its student. Cancelling again is no error."""
    changing.unchanged(work, tenant, job_id, if_match)
    return service.shown(work.session, work.context.settings, service.cancel(work, tenant, job_id))


@router.post(
    "/jobs/{job_id}/stop",
    operation_id="stop_job",
    summary="Stop a job",
    status_code=202,
    responses=documented(404, 409, 412),
)
def stop_job(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> JobOut:
    """End training now, keep the best student so far and finish the job with it. Stopping again is no error."""
    changing.unchanged(work, tenant, job_id, if_match)
    return service.shown(work.session, work.context.settings, service.stop(work, tenant, job_id))


@router.post(
    "/jobs/{job_id}/pause",
    operation_id="pause_job",
    summary="Pause a job",
    status_code=202,
    responses=documented(404, 409, 412),
)
def pause_job(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> JobOut:
    """Free the worker and keep the training state. Pausing again is no error."""
    changing.unchanged(work, tenant, job_id, if_match)
    return service.shown(work.session, work.context.settings, service.pause(work, tenant, job_id))


@router.post(
    "/jobs/{job_id}/resume",
    operation_id="resume_job",
    summary="Resume a paused job",
    status_code=202,
    responses=documented(404, 409, 412),
)
def resume_job(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> JobOut:
    """Queue a paused job again; it goes on from its last checkpoint."""
    changing.unchanged(work, tenant, job_id, if_match)
    return service.shown(work.session, work.context.settings, service.resume(work, tenant, job_id))


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="retry_job",
    summary="Retry a failed job",
    status_code=202,
    responses=documented(404, 409, 412),
)
def retry_job(work: WorkDep, tenant: TenantDep, job_id: str, if_match: IfMatch = None) -> JobOut:
    """Queue a job that failed by a fault of the system again; it goes on from its last checkpoint."""
    changing.unchanged(work, tenant, job_id, if_match)
    return service.shown(work.session, work.context.settings, service.retry(work, tenant, job_id))


@router.post(
    "/jobs/{job_id}/extend",
    operation_id="extend_job",
    summary="Go on from a finished job",
    status_code=202,
    responses=documented(404, 409, 413, 415, 422, also={200: {"model": DryRun, "description": ACCEPTED}}),
)
async def extend_job(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    job_id: str,
    body: JobExtend,
    response: Response,
    prefer: Prefer = None,
    dry_run: DryRunWanted = False,
) -> JobOut | DryRun:
    """Queue a new job whose student starts from this one's student, with its settings unless the body says otherwise:
    another recipe, dataset or teacher is allowed. The answer is the new job, with its `Location`. A dry run is that of
    `POST /jobs`."""

    def look() -> JobCreate:
        with context.database.read() as session:
            return extending.extended(session, tenant, job_id, body)

    wanted = await context.lanes.reading.run(look)
    return await _queued(context, tenant, key, wanted, response, prefer, dry_run)
