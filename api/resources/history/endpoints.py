"""/jobs/{id}/events, /metrics, /logs, /attempts, /checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.http.auth import CallerDep, TenantDep
from api.http.negotiation import Accept, best
from api.http.openapi import documented
from api.http.paging import Limit, NumberCursor, number
from api.resources.history import service
from api.resources.history.schemas import AttemptList, CheckpointList, EventPage, LogPage, MetricPage
from api.resources.history.stream import SSE, LastEventId, also, streamed
from api.resources.jobs.service import find
from api.state.deps import ContextDep, ListSession, ReadSession
from store.repositories import jobs

router = APIRouter(tags=["results"])


@router.get(
    "/jobs/{job_id}/events",
    operation_id="list_job_events",
    summary="Events of a job, as pages or as a live stream",
    response_model=EventPage,
    responses=documented(
        404,
        406,
        422,
        also=also("job"),
    ),
)
async def list_job_events(
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    job_id: str,
    cursor: NumberCursor,
    limit: Limit = 100,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> EventPage | Response:
    """JSON pages, oldest first; with `Accept: text/event-stream` a stream that resumes after `Last-Event-ID`, beats
    every 15 s and ends after the event that ends the job. A browser that reconnects then gets 204, which stops it."""
    after = max(cursor, int(last_event_id or 0))
    if best(accept, ["application/json", SSE]) == SSE:
        return await streamed(request, context, caller, job_id, after)

    def page() -> EventPage:
        with context.database.read() as session:
            return service.event_page(session, find(session, caller.tenant, job_id).id, after, limit)

    return await context.lanes.listing.run(page)


@router.get(
    "/jobs/{job_id}/metrics",
    operation_id="list_job_metrics",
    summary="Metrics of a job",
    responses=documented(404, 422),
)
def list_job_metrics(
    session: ListSession,
    tenant: TenantDep,
    job_id: str,
    cursor: NumberCursor,
    limit: Limit = 200,
    split: Annotated[Literal["train", "validation", "test"] | None, Query(description="Only this split.")] = None,
) -> MetricPage:
    """Losses and accuracies by step. A page never cuts a step in two, so it may hold two entries above `limit`."""
    return service.metric_page(session, find(session, tenant, job_id).id, split, cursor, limit)


@router.get("/jobs/{job_id}/logs", operation_id="list_job_logs", summary="Log of a job", responses=documented(404, 422))
def list_job_logs(
    session: ListSession,
    tenant: TenantDep,
    job_id: str,
    cursor: NumberCursor,
    limit: Limit = 200,
    after: Annotated[str | None, Query(max_length=300, description="`follow` of an earlier answer.")] = None,
    tail: Annotated[int | None, Query(ge=1, le=1000, description="Only the last so many lines; no pages.")] = None,
) -> LogPage:
    """What the trainer wrote, all attempts, oldest first. To watch it: `?tail=100` first, then `?after=` with `follow`
    of the answer before, as often as you like."""
    found = find(session, tenant, job_id).id
    start = max(cursor, number(after, "after"))
    if tail is not None:
        return service.log_tail(session, found, start, tail)
    return service.log_page(session, found, start, limit)


@router.get(
    "/jobs/{job_id}/attempts",
    operation_id="list_job_attempts",
    summary="Attempts of a job",
    responses=documented(404),
)
def list_job_attempts(session: ReadSession, tenant: TenantDep, job_id: str) -> AttemptList:
    """Which worker tried when, and how it ended."""
    rows = jobs.attempts(session, find(session, tenant, job_id).id)
    return AttemptList(items=[service.attempt(row) for row in rows])


@router.get(
    "/jobs/{job_id}/checkpoints",
    operation_id="list_job_checkpoints",
    summary="Checkpoints of a job",
    responses=documented(404),
)
def list_job_checkpoints(session: ReadSession, tenant: TenantDep, job_id: str) -> CheckpointList:
    """Training states in the store; a new attempt continues from the newest."""
    rows = jobs.checkpoints(session, find(session, tenant, job_id).id)
    return CheckpointList(items=[service.checkpoint(row) for row in rows])
