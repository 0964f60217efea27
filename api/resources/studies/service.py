"""What /studies does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound, Unprocessable
from api.http.idempotency import replayed, request_hash
from api.http.negotiation import wait_seconds
from api.http.preconditions import own, require
from api.http.schemas import ResourcePatch
from api.resources.jobs import measuring
from api.resources.jobs import service as jobs_service
from api.resources.jobs.findings import Findings
from api.resources.studies import counted, tags, validation
from api.resources.studies.budgets import StudySized, moved
from api.resources.studies.schemas import StudyCreate, StudyDryRun, StudyExtend, StudyOut
from api.resources.studies.validation import Checked
from api.state.context import Context
from api.state.deps import Work
from distill.search.space import Space
from store import logs
from store.ids import new_id
from store.repositories import idempotency, studies, study_events, trials
from store.standing import refusal, standing
from store.states import TERMINAL, TRANSITIONS, IllegalTransition
from store.study_tables import STUDY_TERMINAL
from store.tables import Job, Study

LIMITS = ("trials", "minutes")
READABLE = ("trials", "table", "figure", "pareto", "importance", "events")


def find(session: Session, tenant: str, study_id: str) -> Study:
    """The tenant's study. Raises `NotFound`, for another tenant's as for none."""
    return _there(studies.get(session, tenant, study_id), study_id)


def locked(session: Session, tenant: str, study_id: str) -> Study:
    """The same, as it stays until commit; no step is made of it meanwhile."""
    return _there(studies.get_locked(session, tenant, study_id), study_id)


def _there(study: Study | None, study_id: str) -> Study:
    if study is None:
        raise NotFound(f"There is no study {study_id!r}.", "GET /studies lists the studies there are.")
    return study


def unchanged(work: Work, tenant: str, study_id: str, if_match: str | None) -> None:
    """Raise `PreconditionFailed` when the study is not as `If-Match` says, but for what its trials write."""
    if if_match is not None:
        require(if_match, tags.tag_of(shown(work.session, locked(work.session, tenant, study_id))), own)


# ---- making


def submit(context: Context, tenant: str, sized: StudySized, dataset: str, key: str | None) -> tuple[StudyOut, bool]:
    """Make the study, commit, and only then ring; the study, and whether an earlier request with this key made it."""
    hashed, settings = request_hash("/studies", sized.request.model_dump(mode="json")), context.settings
    body = sized.body
    with context.database.read() as session:  # a large space takes a second, in which nobody else is to wait
        again = idempotency.known(session, tenant, key)
        looked = None if again else validation.check(session, settings, tenant, body, dataset)
    with context.database.write() as session:
        earlier = replayed(session, tenant, key, hashed)
        if earlier is not None:
            return shown(session, find(session, tenant, earlier)), True
        checked = looked or validation.check(session, settings, tenant, body, dataset)
        validation.still(session, tenant, checked)
        _refuse_known(session, body, checked)
        study = studies.add(session, _row(tenant, sized, checked))
        if key:
            idempotency.answer(session, tenant, key, 202, study.id)
        answer = shown(session, study)
    context.doorbell.ring("job", study.id)
    return answer, False


async def refused(context: Context, body: StudyCreate, dataset: str, problem: Unprocessable) -> Unprocessable:
    """A refusal of the students of a request, with everything else that is wrong with it."""

    def look() -> Unprocessable:
        with context.database.read() as session:
            return validation.beside(session, body, dataset, problem)

    return await context.lanes.reading.run(look)


async def rehearse(
    context: Context, tenant: str, sized: StudySized, dataset: str, key: str | None, prefer: str | None
) -> None:
    """As for a job that is worth it: waits until a worker has put together what runs of the base job will. Raises
    `Unprocessable` for what `submit` would find, and for what these runs would refuse."""
    body = sized.body
    if not counted.worth_asking(body):
        return

    def look() -> Checked | None:
        with context.database.read() as session:
            if idempotency.known(session, tenant, key):
                return None
            return validation.check(session, context.settings, tenant, body, dataset)

    checked = await context.lanes.reading.run(look)
    if checked is not None:
        await _ask_workers(context, body, checked, prefer)


async def _ask_workers(context: Context, body: StudyCreate, checked: Checked, prefer: str | None) -> None:
    """About the base job and the points, so that `_refuse_known` can tell. Raises `Unprocessable` for the base job."""
    seconds = wait_seconds(prefer, context.settings.inspect_wait_seconds)
    with _of_base():
        await measuring.rehearse(context, checked.plan, body.base.config, seconds)
    await counted.ask(context, checked, seconds)


def _refuse_known(session: Session, body: StudyCreate, checked: Checked) -> None:
    """Raises `Unprocessable` for what workers found already that runs of base job and points would refuse."""
    with _of_base():
        measuring.refuse_known(session, checked.plan, body.base.config)
    counted.refuse(session, checked)


@contextmanager
def _of_base() -> Iterator[None]:
    """Refusals of the base job point into the study."""
    try:
        yield
    except Unprocessable as refused:
        raise moved(refused) from refused


def _row(tenant: str, sized: StudySized, checked: Checked) -> Study:
    body = sized.body
    return Study(
        id=new_id("stu"),
        tenant_id=tenant,
        name=body.name,
        labels=body.labels,
        task=checked.plan.task,
        base=checked.base,
        space=[_kept(each) for each in checked.space.domains],
        seeds=checked.seeds,
        confirm=body.confirm,
        strategy=checked.strategy.name,
        strategy_parameters=checked.strategy.parameters,
        search_seed=body.search_seed,
        resource=checked.resource,
        objectives=[
            {"name": each.name, "direction": each.direction, "limit": each.limit} for each in checked.objectives
        ],
        budget=body.budget.model_dump(),
        student_budget=sized.document,
        inputs=checked.inputs,
        request_id=logs.ids().get("request_id"),
    )


def _kept(domain: Any) -> dict[str, Any]:
    """What a domain says, without what it leaves open."""
    found = {name: getattr(domain, name) for name in domain.__slots__}
    bounds = {"low", "high", "step", "log", "integer"} if domain.choices is not None else {"choices"}
    return {name: value for name, value in found.items() if name not in bounds and value is not None}


async def dry_run(context: Context, tenant: str, sized: StudySized, dataset: str, prefer: str | None) -> StudyDryRun:
    """All checks of `submit`, and what it would take; no study."""
    body = sized.body

    def look() -> Checked:
        with context.database.read() as session:
            return validation.check(session, context.settings, tenant, body, dataset)

    def refuse() -> None:
        with context.database.read() as session:
            _refuse_known(session, body, checked)

    checked = await context.lanes.reading.run(look)
    await _ask_workers(context, body, checked, prefer)
    await context.lanes.reading.run(refuse)
    with _of_base():
        base = await jobs_service.dry_run(context, tenant, body.base, dataset, prefer)
    number, minutes = validation.planned(body, checked), base.estimates.minutes
    hours = None if number is None or minutes is None else number * minutes.value / 60
    points = _finite(checked.space.size())
    return StudyDryRun(
        valid=True, points=points, checked=checked.checked, trials=number, hours=hours, base=base,
        space=_space_shown([_kept(each) for each in checked.space.domains]), student_budget=sized.document,
    )  # fmt: skip


def _space_shown(domains: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["pointer"]: {k: v for k, v in each.items() if k != "pointer"} for each in domains}


def _finite(number: float) -> float | None:
    return None if number == inf else number


# ---- changing


def patch(work: Work, tenant: str, study_id: str, body: ResourcePatch) -> Study:
    study = locked(work.session, tenant, study_id)
    studies.write(work.session, study, **{name: getattr(body, name) for name in body.model_fields_set})
    return study


def cancel(work: Work, tenant: str, study_id: str) -> Study:
    """End the study with all its trials. Asking again is no error."""
    study = locked(work.session, tenant, study_id)
    if study.status in {"cancelling", "cancelled"}:
        return study
    _refuse_unless(study, {"running", "paused"}, "cancelled")
    studies.move(work.session, study, "cancelling")
    _ask_each(work, tenant, study, jobs_service.cancel, set(TRANSITIONS) - TERMINAL)
    _ring(work, study)
    return study


def pause(work: Work, tenant: str, study_id: str) -> Study:
    """Begin no further trial, and hold those that wait or run. Asking again is no error."""
    study = locked(work.session, tenant, study_id)
    if study.status == "paused":
        return study
    _refuse_unless(study, {"running"}, "paused")
    studies.move(work.session, study, "paused")
    _ask_each(work, tenant, study, jobs_service.pause, {"queued", "running"})
    return study


def resume(work: Work, tenant: str, study_id: str) -> Study:
    """Go on with a paused study, and queue its held trials again."""
    study = locked(work.session, tenant, study_id)
    _refuse_unless(study, {"paused"}, "running")
    if any(job.status == "pausing" for job in _jobs(work.session, study)):
        remedy = "Send it again in a few seconds, when they have left their checkpoints."
        raise Conflict("Trials of the study are being paused still.", remedy, code="illegal_transition", retryable=True)
    studies.move(work.session, study, "running")
    _ask_each(work, tenant, study, jobs_service.resume, {"paused"})
    _ring(work, study)
    return study


def extend(work: Work, tenant: str, study_id: str, body: StudyExtend) -> Study:
    """Give the search more: a study that has ended goes on, with all that it knows."""
    study = locked(work.session, tenant, study_id)
    _refuse_unless(study, {"running", "paused", "succeeded", "failed"}, "running")
    if study.exhausted and (body.trials or body.minutes):
        remedy = "Make a study of a larger space; equal trials are not run again."
        raise Conflict("Every point of the space was tried.", remedy, code="space_exhausted")
    _check_more(study, body)
    budget = study.budget | _grown(study.budget, body)
    values: dict[str, Any] = {"budget": budget}
    if study.status in STUDY_TERMINAL or study.phase == "confirming":
        values |= {"phase": "searching", "result": None, "error": None}
        trials.forget_tests(work.session, study.id)
    studies.write(work.session, study, **values)
    study_events.append(work.session, study.id, "extended", {"budget": budget})
    if study.status in STUDY_TERMINAL:
        studies.move(work.session, study, "running")
    work.session.refresh(study)
    _ring(work, study)
    return study


def _check_more(study: Study, body: StudyExtend) -> None:
    """Raise `Unprocessable` for what would change nothing. An ended study must have more to try: begun again with
    nothing new it would only be confirmed by other seeds, as often as one likes."""
    findings = Findings()
    for name in LIMITS:
        if getattr(body, name) is not None and study.budget[name] is None:
            findings.add(f"/{name}", f"The study has no limit of {name}.", "Leave it out: nothing ends by it.")
    given = [name for name in LIMITS if getattr(body, name) is not None]
    if not given and (body.parallel is None or study.status in STUDY_TERMINAL):
        limits = [name for name in LIMITS if study.budget[name] is not None]
        findings.add("", "This gives the study nothing more to try.", f"Give more {' or '.join(limits or LIMITS)}.")
    findings.raise_if_any()


def _grown(budget: dict[str, Any], body: StudyExtend) -> dict[str, Any]:
    grown = {name: budget[name] + getattr(body, name) for name in LIMITS if getattr(body, name) is not None}
    return grown | ({"parallel": body.parallel} if body.parallel is not None else {})


def delete(work: Work, tenant: str, study_id: str, cancel_first: bool) -> Study | None:
    """Remove an ended study; its jobs stay. None when it is gone. An active one is cancelled first if that is asked
    for, and is returned where workers must end its trials before it can be removed."""
    study = locked(work.session, tenant, study_id)
    if study.status not in STUDY_TERMINAL:
        if not cancel_first:
            remedy = "POST its /cancel first, or DELETE with ?cancel=true."
            details = {"status": study.status}
            raise Conflict(f"The study {standing(study.status)}.", remedy, code="study_active", details=details)
        cancel(work, tenant, study_id)
        if any(job.status not in TERMINAL for job in _jobs(work.session, study)):
            return study
    idempotency.release(work.session, tenant, study.id)
    studies.delete(work.session, study.id)
    return None


def _ask_each(
    work: Work, tenant: str, study: Study, ask: Callable[[Work, str, str], Job], statuses: Collection[str]
) -> None:
    """Ask it of the job of every active trial that has one of the statuses. One that ends in this very moment needs no
    asking."""
    for job in _jobs(work.session, study):
        if job.status in statuses:
            with suppress(IllegalTransition, NotFound):
                ask(work, tenant, job.id)


def _jobs(session: Session, study: Study) -> list[Job]:
    """Of its active trials."""
    return list(trials.jobs_of(session, trials.of(session, study.id, "active")).values())


def _refuse_unless(study: Study, allowed: set[str], wanted: str) -> None:
    if study.status not in allowed:
        remedy = "GET the study to see its status, and what its links offer."
        details = {"status": study.status, "wanted": wanted}
        detail = f"The study {refusal(study.status, wanted)}."
        raise Conflict(detail, remedy, code="illegal_transition", details=details)


def _ring(work: Work, study: Study) -> None:
    work.after_commit(lambda: work.context.doorbell.ring("job", study.id))


# ---- showing


def shown(session: Session, study: Study) -> StudyOut:
    return shown_all(session, [study])[0]


def shown_all(session: Session, rows: Sequence[Study]) -> list[StudyOut]:
    """`shown` of each, with the same few queries for all."""
    ids = [study.id for study in rows]
    counts, used = trials.counts(session, ids), trials.used_seconds(session, ids)
    return [_shown(study, counts[study.id], used.get(study.id, 0.0) / 60) for study in rows]


def _shown(study: Study, counts: dict[str, int], minutes: float) -> StudyOut:
    zero = dict.fromkeys(("active", "succeeded", "pruned", "failed", "cancelled", "configurations"), 0)
    return StudyOut.model_validate(
        {
            "id": study.id,
            "name": study.name,
            "labels": study.labels,
            "status": study.status,
            "phase": study.phase,
            "task": study.task,
            "base": study.base,
            "space": _space_shown(study.space),
            "student_budget": study.student_budget,
            "seeds": study.seeds,
            "strategy": {"name": study.strategy, "parameters": study.strategy_parameters},
            "search_seed": study.search_seed,
            "objectives": study.objectives,
            "budget": study.budget,
            "confirm": study.confirm,
            "points": _finite(Space.from_list(study.space).size()),
            "exhausted": study.exhausted,
            "counts": zero | counts,
            "used_minutes": minutes,
            "result": study.result,
            "error": study.error,
            "created_at": study.created_at,
            "finished_at": study.finished_at,
            "links": _links(study),
        }
    )


def _links(study: Study) -> dict[str, str]:
    path = f"/studies/{study.id}"
    possible = {
        "cancel": study.status in {"running", "paused"},
        "pause": study.status == "running",
        "resume": study.status == "paused",
        "extend": study.status in {"running", "paused", "succeeded", "failed"} and not study.exhausted,
    }
    links = {"self": path} | {name: f"{path}/{name}" for name in READABLE}
    return links | {action: f"{path}/{action}" for action, allowed in possible.items() if allowed}
