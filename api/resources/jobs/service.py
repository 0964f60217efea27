"""What /jobs does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, FieldError, NotFound, Unprocessable
from api.http.idempotency import replayed, request_hash
from api.http.negotiation import wait_seconds
from api.resources.datasets import service as datasets
from api.resources.datasets.schemas import NamedDataset
from api.resources.jobs import (
    estimating,
    exporting,
    fitting,
    measuring,
    processes,
    publishing,
    recipe_choice,
    starting,
    teaching,
)
from api.resources.jobs.budgets import Sized
from api.resources.jobs.links import kind_of, links_of, would_fail_again
from api.resources.jobs.plan import Plan
from api.resources.jobs.schemas import DryRun, JobCreate, JobOut, JobWarning, NamedReference
from api.resources.jobs.validation import check
from api.services import quotas, registration
from api.services.registration import Key
from api.services.removing import remove
from api.state.context import Context
from api.state.deps import Work
from distill.tasks.forecast import forecast
from distill.types import Architecture, DistillConfig
from store import logs, tracing
from store.ids import new_id
from store.repositories import idempotency, jobs, shares, trials
from store.settings import Settings
from store.standing import standing
from store.states import TERMINAL, IllegalTransition
from store.tables import Dataset, Job, JobTeacher


def find(session: Session, tenant: str, job_id: str) -> Job:
    """The tenant's job. Raises `NotFound`, for another tenant's as for none."""
    return _there(jobs.get(session, tenant, job_id), job_id)


def locked(session: Session, tenant: str, job_id: str) -> Job:
    """The same, as it stays until commit: for what its state decides."""
    return _there(jobs.get_locked(session, tenant, job_id), job_id)


def _there(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.", "GET /jobs lists the jobs there are.")
    return job


async def dataset_id(context: Context, tenant: str, body: JobCreate, prefer: str | None) -> str:
    """The id behind the body's dataset; a named set is registered and inspected if it was not yet."""
    if not isinstance(body.dataset, NamedReference):
        return body.dataset
    made = await context.lanes.writing.run(_named, context, tenant, body.dataset.named)
    row = await registration.settled(context, Dataset, tenant, made, prefer)
    if row.status != "ready":
        detail = f"The data set {row.name!r} is still being inspected as {row.id}."
        raise Conflict(
            detail, "Send the job again in a few seconds.", code="dataset_not_ready", headers={"Retry-After": "5"}
        )
    return row.id


def _named(context: Context, tenant: str, name: str) -> str:
    with context.database.read() as session:
        datasets.check_named(session, name, "/dataset/named")
        known = datasets.of_name(session, tenant, name)
    if known is not None:
        return known
    made, _ = datasets.register_named(context, tenant, NamedDataset(named=name), Key(None, ""))
    return made


def submit(
    context: Context, tenant: str, body: JobCreate, dataset: str, key: str | None, sized: Sized | None = None
) -> tuple[JobOut, bool]:
    """Queue the job, commit, and only then ring; the job, and whether an earlier request with this key made it.
    `sized`: the budget that bought its student."""
    hashed = request_hash("/jobs", (sized.request if sized else body).model_dump(mode="json"))
    with context.database.write() as session:
        earlier = replayed(session, tenant, key, hashed)
        if earlier is not None:
            return shown(session, context.settings, find(session, tenant, earlier)), True
        quotas.check_queue(session, context.settings, tenant)
        publishing.check_live(session, context.settings, tenant, body.publish)
        body = fitting.with_defaults(session, body, dataset)
        plan = check(session, tenant, body, dataset)
        measuring.refuse_known(session, plan, body.config)
        row = _row(context, tenant, body, plan)
        row.student_budget = sized.document() if sized else None
        with tracing.span("job", "producer", job_id=row.id, recipe=row.recipe):
            row.traceparent = tracing.traceparent()
            job = jobs.add(session, row, teaching.named(body)[1:])
            for each in publishing.rows(context.settings, job, body.publish):
                each.traceparent = row.traceparent
                jobs.add(session, each, teaching.named(body)[1:])
        if key:
            idempotency.answer(session, tenant, key, 202, job.id)
        answer = shown(session, context.settings, job)
    context.doorbell.ring("job", job.id)
    return answer, False


async def dry_run(
    context: Context, tenant: str, body: JobCreate, dataset: str, prefer: str | None, sized: Sized | None = None
) -> DryRun:
    """All checks of `submit`, before anything is counted, and an estimate, no job."""

    def look() -> tuple[JobCreate, Plan]:
        with context.database.read() as session:
            quotas.check_queue(session, context.settings, tenant, lock=False)
            publishing.check_live(session, context.settings, tenant, body.publish)
            whole = fitting.with_defaults(session, body, dataset)
            plan = check(session, tenant, whole, dataset)
            max_runtime(context.settings, whole)
            return whole, plan

    body, plan = await context.lanes.reading.run(look)
    seconds = wait_seconds(prefer, context.settings.inspect_wait_seconds)
    found = await measuring.answers(context, plan, body.config, seconds)
    looked = await context.lanes.reading.run(_dry_run, context, body, dataset, plan, found)
    return looked.model_copy(update={"student_budget": sized.document()}) if sized else looked


async def rehearse(
    context: Context, tenant: str, body: JobCreate, dataset: str, key: str | None, prefer: str | None
) -> None:
    """Waits, for a job that is worth it, until a worker has put together what the run will. Raises `Unprocessable` for
    what `submit` would find, and for what the run would refuse. An earlier request with this key has been answered."""
    if not measuring.worth_asking(body.config):
        return

    def look() -> tuple[JobCreate, Plan] | None:
        with context.database.read() as session:
            if idempotency.known(session, tenant, key):
                return None
            publishing.check_live(session, context.settings, tenant, body.publish)
            whole = fitting.with_defaults(session, body, dataset)
            return whole, check(session, tenant, whole, dataset)

    found = await context.lanes.reading.run(look)
    if found is not None:
        whole, plan = found
        await measuring.rehearse(
            context, plan, whole.config, wait_seconds(prefer, context.settings.inspect_wait_seconds)
        )


def _dry_run(context: Context, body: JobCreate, dataset: str, plan: Plan, found: dict[str, Any]) -> DryRun:
    with context.database.read() as session:
        ids = teaching.named(body)
        return DryRun(
            valid=True,
            config=body.config,
            student=plan.student,
            teacher=next(iter(ids), None),
            teachers=ids,
            dataset=dataset,
            warnings=[*_cautions(plan, body.config), *_rehearsed(found)],
            publish=publishing.planned(body.publish),
            recipes=recipe_choice.candidates(plan),
            input_bytes=plan.input_bytes,
            estimates=processes.noted(
                estimating.estimates(session, plan, body.config, found, processes.shares(body.resources)),
                body.resources,
            ),
        )


def _cautions(plan: Plan, config: DistillConfig) -> list[JobWarning]:
    found = forecast(plan.task).cautions(plan.parts(config))
    return [JobWarning.model_validate(each.to_dict()) for each in found]


def _rehearsed(found: dict[str, Any]) -> list[JobWarning]:
    told = found.get(measuring.REHEARSAL, {}).get("cost", {})
    return [JobWarning.model_validate(each) for each in told.get("warnings", ())]


def _row(context: Context, tenant: str, body: JobCreate, plan: Plan) -> Job:
    return Job(
        id=new_id("job"),
        tenant_id=tenant,
        name=body.name,
        labels=body.labels,
        status="queued",
        priority=body.priority,
        processes=processes.column(body.resources),
        hosts=body.resources.hosts,
        sharding=body.resources.sharding,
        recipe=body.config.recipe,
        config=body.config.model_dump(mode="json"),
        student=plan.student.model_dump(mode="json"),
        start=starting.reference(body),
        teacher_id=next(iter(teaching.named(body)), None),
        dataset_id=plan.dataset.id,
        compare_with=body.compare_with,
        probe_id=body.probe,
        max_attempts=body.max_attempts or context.settings.max_attempts,
        max_runtime_seconds=max_runtime(context.settings, body),
        request_id=logs.ids().get("request_id"),
    )


def max_runtime(settings: Settings, body: JobCreate) -> int | None:
    """The job's own limit or the service's. Raises `Unprocessable` for one above the service's."""
    most = settings.max_runtime_seconds
    if most and body.max_runtime_seconds and body.max_runtime_seconds > most:
        message = f"A job may run for {most} s here at most."
        error = FieldError(pointer="/max_runtime_seconds", message=message)
        raise Unprocessable(message, "Ask for less, or leave it out.", errors=[error], details={"limit": most})
    return body.max_runtime_seconds or most or None


def cancel(work: Work, tenant: str, job_id: str) -> Job:
    """Ask for the job's end. Asking again is no error."""
    job = locked(work.session, tenant, job_id)
    keys = jobs.object_keys(work.session, job.id)
    if jobs.request_cancel(work.session, job) == "cancelled" and keys:  # at once: no worker removes its files
        work.remove_after_commit(lambda: _remove(work.context, job.id, keys))
    if job.status == "cancelled":
        publishing.give_up(work.session, job)
    _ring(work, job)
    return job


def stop(work: Work, tenant: str, job_id: str) -> Job:
    """Ask to end training now and keep the best student so far. Asking again is no error."""
    job = find(work.session, tenant, job_id)
    if job.status != "stopping":
        jobs.move(work.session, job, "stopping")
        _ring(work, job)
    return job


def retry(work: Work, tenant: str, job_id: str) -> Job:
    """Queue a failed job again, with all its attempts, from its last checkpoint."""
    job = find(work.session, tenant, job_id)
    if job.status != "failed":  # other states lead to `queued` too, but by a worker's hand
        raise IllegalTransition(job.status, "queued")
    if would_fail_again(job):
        remedy = "Correct what the error names, and submit a new job."
        raise Conflict("The job failed by its own input; the same input fails again.", remedy, code="not_retryable")
    quotas.check_queue(work.session, work.context.settings, tenant)
    jobs.move(work.session, job, "queued", phase=None)
    publishing.follow_again(work.session, job)
    _ring(work, job)
    return job


def pause(work: Work, tenant: str, job_id: str) -> Job:
    """Hold the job: at once while it waits, else once its trainer has left a checkpoint. Asking again is no error."""
    job = locked(work.session, tenant, job_id)
    if job.status not in {"pausing", "paused"}:
        jobs.move(work.session, job, "paused" if job.status == "queued" else "pausing")
        _ring(work, job)
    return job


def resume(work: Work, tenant: str, job_id: str) -> Job:
    """Queue a paused job again; it goes on from its last checkpoint."""
    job = find(work.session, tenant, job_id)
    if job.status != "paused":
        raise IllegalTransition(job.status, "queued")
    quotas.check_queue(work.session, work.context.settings, tenant)
    jobs.move(work.session, job, "queued")
    _ring(work, job)
    return job


def _ring(work: Work, job: Job) -> None:
    work.after_commit(lambda: work.context.doorbell.ring("job", job.id))


def delete(work: Work, tenant: str, job_id: str, cancel_first: bool) -> Job | None:
    """Remove an ended job with all it made; None when it is gone. An active one is cancelled first if that is asked
    for, and is returned where a worker must end it before it can be removed."""
    job = locked(work.session, tenant, job_id)
    whole = [*jobs.companions(work.session, job.id), job]
    ended = [_ended(work, each, cancel_first) for each in whole]
    if not all(ended):
        return job
    for each in whole:
        _delete(work, tenant, each)
    return None


def _ended(work: Work, job: Job, cancel_first: bool) -> bool:
    """Whether a job has ended, as it may have to be asked to."""
    if job.status in TERMINAL:
        return True
    if not cancel_first:
        remedy = "POST its /cancel first, or DELETE with ?cancel=true."
        who = "The job" if job.student_of is None else f"Its {kind_of(job)} {job.id}"
        raise Conflict(f"{who} {standing(job.status)}.", remedy, code="job_active", details={"status": job.status})
    if jobs.request_cancel(work.session, job) == "cancelled":
        return True
    _ring(work, job)
    return False


def _delete(work: Work, tenant: str, job: Job) -> None:
    job_id, keys = job.id, jobs.object_keys(work.session, job.id)
    idempotency.release(work.session, tenant, job_id)
    jobs.delete(work.session, job_id)
    work.remove_after_commit(lambda: _remove(work.context, job_id, keys))


def _remove(context: Context, job_id: str, keys: list[str]) -> None:
    """The job's objects by its rows, and what a broken attempt left under its prefix without one."""
    remove(context.objects, keys, prefix=f"jobs/{job_id}/")


def shown(session: Session, settings: Settings, job: Job) -> JobOut:
    return shown_all(session, settings, [job])[0]


def shown_all(session: Session, settings: Settings, rows: Sequence[Job]) -> list[JobOut]:
    """`shown` of each, with the same few queries for all."""
    places = shares.positions(session, rows, settings.max_running_jobs)
    found = datasets.tasks_of(session, {job.dataset_id for job in rows})
    ids = [job.id for job in rows]
    further, made_by = jobs.further_teachers(session, ids), trials.studies_of(session, ids)
    waits, published = (
        exporting.waits(session, rows) | processes.waits(session, rows),
        jobs.publications_of(session, ids),
    )
    return [
        _shown(
            job,
            further.get(job.id, []),
            found[job.dataset_id],
            places.get(job.id),
            made_by.get(job.id),
            waits.get(job.id),
            published.get(job.id, []),
        )
        for job in rows
    ]


def _shown(
    job: Job, further: list[JobTeacher], task: str, queue_position: int | None, study: str | None, waits: str | None,
    published: list[Job],
) -> JobOut:  # fmt: skip
    first = [job.teacher_id] if job.teacher_id else []
    return JobOut(
        id=job.id,
        name=job.name,
        labels=job.labels,
        status=job.status,
        phase=job.phase,
        priority=job.priority,
        recipe=job.recipe,
        config=DistillConfig.model_validate(job.config),
        resolved=_resolved(job),
        choice=job.choice,
        student_budget=job.student_budget,
        student=Architecture.model_validate(job.student),
        student_weights=job.start,
        teacher=job.teacher_id,
        teachers=[*first, *(each.teacher_id for each in further)],
        dataset=job.dataset_id,
        task=task or None,
        resources=processes.shown(job),
        compare_with=job.compare_with,
        export_of=job.student_of if kind_of(job) == "export" else None,
        publication_of=job.student_of if kind_of(job) == "publication" else None,
        probe=job.probe_id,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        max_runtime_seconds=job.max_runtime_seconds,
        stop_reason=job.stop_reason,
        study=study,
        progress=job.progress,
        selection=job.selection,
        selections=[each for each in (job.selection, *(one.selection for one in further)) if each is not None],
        result=job.result,
        warnings=[JobWarning.model_validate(each) for each in (job.warnings or {}).values()],
        publications=[publishing.noted(each) for each in published],
        error=job.error,
        queue_position=queue_position,
        waiting_for=waits,
        not_before=job.not_before,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        heartbeat_at=job.heartbeat_at,
        links=links_of(job, task) | ({"study": f"/studies/{study}"} if study else {}),
    )


def _resolved(job: Job) -> dict[str, Any] | None:
    """With why a budget bought this student, of which the run knows nothing."""
    if job.resolved is None or job.student_budget is None:
        return job.resolved
    reasons = {"student": job.student_budget["reason"]} | job.resolved.get("reasons", {})
    return job.resolved | {"reasons": reasons}
