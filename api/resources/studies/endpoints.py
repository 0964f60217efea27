"""/studies and the actions on one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from api.errors.problems import Unprocessable
from api.http.auth import TenantDep
from api.http.idempotency import IdempotencyKeyDep, located
from api.http.negotiation import IfNoneMatch, Prefer, applied, wait_seconds
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.http.preconditions import CONDITIONAL, HEADERS, IfMatch, stamped, tagged
from api.http.schemas import ResourcePatch
from api.resources.jobs.service import dataset_id
from api.resources.studies import budgets, pruned, service, tags
from api.resources.studies.schemas import CREATE_EXAMPLES, StudyCreate, StudyDryRun, StudyExtend, StudyOut, StudyPage
from api.services import waiting
from api.state.deps import ContextDep, ListSession, WorkDep
from store.repositories import studies
from store.study_tables import STUDY_TERMINAL, StudyStatus

router = APIRouter(tags=["studies"])
EXAMPLES = {"asha": {"value": CREATE_EXAMPLES[0]}}
ACCEPTED = "Dry run: the study would be accepted."


@router.post(
    "/studies",
    operation_id="create_study",
    summary="Begin a study",
    status_code=202,
    responses=documented(409, 413, 415, 422, also={200: {"model": StudyDryRun, "description": ACCEPTED}}),
)
async def create_study(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    body: Annotated[StudyCreate, Body(openapi_examples=EXAMPLES)],
    response: Response,
    prefer: Prefer = None,
    dry_run: Annotated[bool, Query(description="Check everything, estimate, begin nothing.")] = False,
) -> StudyOut | StudyDryRun:
    """Vary a job within a space, and find what is better: trials are jobs, which workers queue one after the other. The
    base job and the whole space are checked first, and all that is wrong is told at once."""
    dataset = await dataset_id(context, tenant, body.base, prefer)
    try:
        settled = await pruned.settled(context, tenant, body, dataset)
        sized = await budgets.settled(context, tenant, settled, dataset, prefer)
    except Unprocessable as refused:
        raise await service.refused(context, body, dataset, refused) from refused
    if dry_run:
        response.status_code = 200
        return await service.dry_run(context, tenant, sized, dataset, prefer)
    await service.rehearse(context, tenant, sized, dataset, key, prefer)
    study, replay = await context.lanes.writing.run(service.submit, context, tenant, sized, dataset, key)
    located(response, study.links["self"], replay)
    return study


@router.get("/studies", operation_id="list_studies", summary="List studies", responses=documented(422))
def list_studies(
    session: ListSession,
    tenant: TenantDep,
    cursor: Cursor,
    limit: Limit = 50,
    status: Annotated[list[StudyStatus] | None, Query(description="Only these; may be repeated.")] = None,
) -> StudyPage:
    """Your studies, newest first."""
    rows, more = studies.page(session, tenant, cursor, limit, status or ())
    return StudyPage(items=service.shown_all(session, rows), next_cursor=encode(rows[-1].id) if more else None)


@router.get(
    "/studies/{study_id}",
    operation_id="get_study",
    summary="Show a study",
    response_model=StudyOut,
    responses=documented(404, also=CONDITIONAL),
)
async def get_study(
    context: ContextDep,
    tenant: TenantDep,
    study_id: str,
    response: Response,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> StudyOut | Response:
    """One study. With `Prefer: wait=N` the answer comes when something has changed (since `If-None-Match`, or since the
    request), when the study has ended, or after N seconds."""

    def look() -> StudyOut:
        with context.database.read() as session:
            return service.shown(session, service.find(session, tenant, study_id))

    def known(study: StudyOut) -> bool:
        return tags.seen(if_none_match, study) and study.status not in STUDY_TERMINAL

    study = await waiting.changed(context.lanes.reading, look, wait_seconds(prefer), known, tags.tag_of)
    applied(response, prefer)
    return tagged(study, response, if_none_match, tags.tag_of(study))


@router.patch(
    "/studies/{study_id}",
    operation_id="update_study",
    summary="Rename or label a study",
    responses=documented(404, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
)
def update_study(
    work: WorkDep, tenant: TenantDep, study_id: str, body: ResourcePatch, response: Response, if_match: IfMatch = None
) -> StudyOut:
    """Change a study's name or labels, at any time. With `If-Match` only if nobody else has changed it."""
    service.unchanged(work, tenant, study_id, if_match)
    shown = service.shown(work.session, service.patch(work, tenant, study_id, body))
    return stamped(shown, response, tags.tag_of(shown))


@router.delete(
    "/studies/{study_id}",
    operation_id="delete_study",
    summary="Delete a study",
    status_code=204,
    response_model=None,
    responses=documented(
        404,
        409,
        412,
        422,
        also={202: {"model": StudyOut, "description": "Being cancelled; delete it again when it is."}},
    ),
)
def delete_study(
    work: WorkDep,
    tenant: TenantDep,
    study_id: str,
    response: Response,
    cancel: Annotated[bool, Query(description="Cancel the study first if it is active.")] = False,
    if_match: IfMatch = None,
) -> StudyOut | None:
    """Remove an ended study with its table and events; its trials stay as the jobs that they are. 409 for an active
    one, unless `cancel` is true."""
    service.unchanged(work, tenant, study_id, if_match)
    left = service.delete(work, tenant, study_id, cancel)
    if left is None:
        return None
    response.status_code = 202
    return service.shown(work.session, left)


@router.post(
    "/studies/{study_id}/cancel",
    operation_id="cancel_study",
    summary="Cancel a study",
    status_code=202,
    responses=documented(404, 409, 412),
)
def cancel_study(work: WorkDep, tenant: TenantDep, study_id: str, if_match: IfMatch = None) -> StudyOut:
    """End the study and its active trials; what others have found stays. Cancelling again is no error."""
    service.unchanged(work, tenant, study_id, if_match)
    return service.shown(work.session, service.cancel(work, tenant, study_id))


@router.post(
    "/studies/{study_id}/pause",
    operation_id="pause_study",
    summary="Pause a study",
    status_code=202,
    responses=documented(404, 409, 412),
)
def pause_study(work: WorkDep, tenant: TenantDep, study_id: str, if_match: IfMatch = None) -> StudyOut:
    """Begin no further trial, and pause those that wait or run. Pausing again is no error."""
    service.unchanged(work, tenant, study_id, if_match)
    return service.shown(work.session, service.pause(work, tenant, study_id))


@router.post(
    "/studies/{study_id}/resume",
    operation_id="resume_study",
    summary="Resume a paused study",
    status_code=202,
    responses=documented(404, 409, 412),
)
def resume_study(work: WorkDep, tenant: TenantDep, study_id: str, if_match: IfMatch = None) -> StudyOut:
    """Go on, with the paused trials first."""
    service.unchanged(work, tenant, study_id, if_match)
    return service.shown(work.session, service.resume(work, tenant, study_id))


@router.post(
    "/studies/{study_id}/extend",
    operation_id="extend_study",
    summary="Give a study more",
    status_code=202,
    responses=documented(404, 409, 412, 413, 415, 422),
)
def extend_study(
    work: WorkDep, tenant: TenantDep, study_id: str, body: StudyExtend, if_match: IfMatch = None
) -> StudyOut:
    """More trials or minutes for the search. One that has ended goes on with all that it knows, and confirms its winner
    with fresh seeds once more."""
    service.unchanged(work, tenant, study_id, if_match)
    return service.shown(work.session, service.extend(work, tenant, study_id, body))
