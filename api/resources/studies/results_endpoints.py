"""/studies/{id}/trials, /table, /figure, /pareto, /importance and /events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from api.http.auth import CallerDep, TenantDep
from api.http.negotiation import Accept, best
from api.http.openapi import documented
from api.http.paging import Limit, NumberCursor, encode
from api.resources.history.stream import SSE, LastEventId, also, streamed
from api.resources.studies import figures, history, results, service
from api.resources.studies.figure_schemas import FigureOut
from api.resources.studies.results_schemas import ImportanceOut, ParetoOut, TableOut
from api.resources.studies.schemas import StudyEventPage, TrialPage
from api.state.deps import ContextDep, ListSession
from distill.search import pareto
from store.repositories import trials
from store.study_tables import TrialState

router = APIRouter(tags=["studies"])
TABLES = {"json": "application/json", "csv": "text/csv", "markdown": "text/markdown"}
FIGURES = {"json": "application/json", "csv": "text/csv", "svg": "image/svg+xml", "png": "image/png"}
FORMS: dict[str, Callable[[figures.Shown], str | bytes]] = {
    FIGURES["json"]: figures.json,
    FIGURES["csv"]: figures.csv,
    FIGURES["svg"]: figures.svg,
    FIGURES["png"]: figures.png,
}
PICTURES = {"json": "application/json", "svg": "image/svg+xml", "png": "image/png"}
TEXT: dict[str, Any] = {"schema": {"type": "string"}}
VARY = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}
Figure = Annotated[str | None, Query(max_length=80, description="An objective of the study, or a cost.")]


def _also(media: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {each: TEXT for name, each in media.items() if name != "json"}}}


def _media(forms: dict[str, str], format: str | None, accept: str | None) -> str:
    """What the answer is: as the query says, or else the best that `Accept` takes."""
    return forms[format] if format else best(accept, list(forms.values()))


@router.get(
    "/studies/{study_id}/trials",
    operation_id="list_study_trials",
    summary="Trials of a study",
    responses=documented(404, 422),
)
def list_study_trials(
    session: ListSession,
    tenant: TenantDep,
    study_id: str,
    cursor: NumberCursor,
    limit: Limit = 100,
    state: Annotated[list[TrialState] | None, Query(description="Only these; may be repeated.")] = None,
) -> TrialPage:
    """Its jobs, first to last, with what was found of each."""
    service.find(session, tenant, study_id)
    rows = trials.page(session, study_id, cursor - 1, limit + 1, state or ())
    more = encode(rows[limit - 1].number + 1) if len(rows) > limit else None
    return TrialPage(items=[history.trial(row) for row in rows[:limit]], next_cursor=more)


@router.get(
    "/studies/{study_id}/table",
    operation_id="get_study_table",
    summary="Table of a study",
    response_model=TableOut,
    responses=documented(404, 406, 422, also=_also(TABLES)),
)
async def get_study_table(
    context: ContextDep,
    tenant: TenantDep,
    study_id: str,
    accept: Accept = None,
    format: Annotated[Literal["json", "csv", "markdown"] | None, Query(description="Instead of Accept.")] = None,
) -> Response:
    """A row a configuration: means over seeds, differences to the base job on the same seeds with their intervals, and
    runs that diverged or stayed at chance. Validation figures; those of the test set, of winner and base job, come with
    the end of the study."""
    media = _media(TABLES, format, accept)

    def load() -> str | bytes:
        with context.database.read() as session:
            found = results.load(session, tenant, study_id)
        return results.table_json(found) if media == TABLES["json"] else results.table_text(found, media)

    return Response(await context.lanes.listing.run(load), media_type=media, headers=VARY)


@router.get(
    "/studies/{study_id}/figure",
    operation_id="get_study_figure",
    summary="Figure of a study",
    response_model=FigureOut,
    responses=documented(404, 406, 422, also=_also(FIGURES)),
)
async def get_study_figure(
    context: ContextDep,
    tenant: TenantDep,
    study_id: str,
    x: Annotated[
        str | None,
        Query(
            max_length=300,
            description="A cost; a numeric place of the space, by its pointer or the last part of it; or, where "
            "teacher layers are varied, a score of the one layer that each distils: quality, separation, information, "
            "efficiency, relative_depth. Left out: `parameters` where students are varied, else a layer's quality, "
            "else the first numeric place.",
        ),
    ] = None,
    y: Annotated[str | None, Query(max_length=80, description="An objective (left out: the first), or a cost.")] = None,
    series: Annotated[
        str | None,
        Query(max_length=300, description="A place of at most 8 values; left out: the recipe if varied; or `none`."),
    ] = None,
    accept: Accept = None,
    format: Annotated[Literal["json", "csv", "svg", "png"] | None, Query(description="Instead of Accept.")] = None,
) -> Response:
    """Configurations as points with 95 % intervals over their seeds: `y` against `x`, in `series`. `choices` lists what
    may be asked for, `left_out` whom the figure lacks, and why."""
    media = _media(FIGURES, format, accept)

    def load() -> figures.Shown:
        with context.database.read() as session:
            return figures.load(session, results.load(session, tenant, study_id), x, y, series)

    shown = await context.lanes.listing.run(load)
    return Response(await run_in_threadpool(FORMS[media], shown), media_type=media, headers=VARY)


@router.get(
    "/studies/{study_id}/pareto",
    operation_id="get_study_pareto",
    summary="Pareto front of a study",
    response_model=ParetoOut,
    responses=documented(404, 406, 422, also=_also(PICTURES)),
)
async def get_study_pareto(
    context: ContextDep,
    tenant: TenantDep,
    study_id: str,
    x: Figure = None,
    y: Figure = None,
    accept: Accept = None,
    format: Annotated[Literal["json", "svg", "png"] | None, Query(description="Instead of Accept.")] = None,
) -> Response:
    """Configurations by two figures, and those that no other beats in both. `y` is the first objective, `x` the second,
    or the size of the student where there is none, unless the query says otherwise."""
    media = _media(PICTURES, format, accept)

    def load() -> tuple[str, pareto.Pareto, dict[str, Any]]:
        with context.database.read() as session:
            found = results.load(session, tenant, study_id)
            shown = results.plotted(found, x, y)
            return found.title, shown, results.pareto_body(session, found, shown)

    title, shown, body = await context.lanes.listing.run(load)
    if media == PICTURES["json"]:
        return Response(to_json(body), media_type=media, headers=VARY)
    draw = pareto.to_png if media == PICTURES["png"] else pareto.to_svg
    return Response(await run_in_threadpool(draw, shown, title), media_type=media, headers=VARY)


@router.get(
    "/studies/{study_id}/importance",
    operation_id="get_study_importance",
    summary="Which places matter",
    responses=documented(404),
)
async def get_study_importance(context: ContextDep, tenant: TenantDep, study_id: str) -> ImportanceOut:
    """How far the values of a place among the better quarter of the configurations differ from those among all
    (PED-ANOVA), as shares of the sum."""

    def load() -> ImportanceOut:
        with context.database.read() as session:
            found = results.load(session, tenant, study_id)
        return results.importances(found)

    return await context.lanes.listing.run(load)


@router.get(
    "/studies/{study_id}/events",
    operation_id="list_study_events",
    summary="Events of a study, as pages or as a live stream",
    response_model=StudyEventPage,
    responses=documented(
        404,
        406,
        422,
        also=also("study"),
    ),
)
async def list_study_events(
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    study_id: str,
    cursor: NumberCursor,
    limit: Limit = 100,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> StudyEventPage | Response:
    """JSON pages, oldest first; with `Accept: text/event-stream` a stream, as of a job's events."""
    after = max(cursor, int(last_event_id or 0))
    if best(accept, ["application/json", SSE]) == SSE:
        return await streamed(request, context, caller, study_id, after, history.look)

    def page() -> StudyEventPage:
        with context.database.read() as session:
            service.find(session, caller.tenant, study_id)
            return history.page(session, study_id, after, limit)

    return await context.lanes.listing.run(page)
