"""Jobs as their owners see them: make, list, ask to cancel, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import SQLColumnExpression, func, or_, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from distill.types import OF_THE_CHOICE
from store.clock import db_now
from store.repositories import events, rows
from store.repositories.page import newest_first
from store.states import IllegalTransition, Status, check_request
from store.tables import (
    Artifact,
    Attempt,
    CachedCurve,
    Checkpoint,
    CurvePoint,
    Job,
    JobEvent,
    JobTeacher,
    LogLine,
    Metric,
)

STUDENTS = ("student.safetensors", "student.zip")
"""A file of weights, or a language model's folder: a run writes one of the two."""


def add(session: Session, job: Job, further_teachers: Sequence[str] = ()) -> Job:
    """Insert a queued job with its first event. `further_teachers`: those beside the one in its row."""
    # Nobody else knows the row yet, so its first event needs no lock to get its number.
    job.event_seq = 1
    session.add(job)
    session.flush()
    for position, teacher_id in enumerate(further_teachers, 1):
        session.add(JobTeacher(job_id=job.id, position=position, teacher_id=teacher_id))
    session.add(JobEvent(job_id=job.id, seq=1, kind="status", data={"status": "queued"}, attempt=0))
    session.flush()
    events.tell(session, job.tenant_id, job.id, "queued", 0)
    return job


def get(session: Session, tenant_id: str, job_id: str) -> Job | None:
    """The job, if it is this tenant's."""
    job = session.get(Job, job_id)
    return job if job is not None and job.tenant_id == tenant_id else None


def get_locked(session: Session, tenant_id: str, job_id: str) -> Job | None:
    """The same, and nobody changes it until commit: what is decided by its state holds. Lock no tenant behind it."""
    query = select(Job).where(Job.id == job_id, Job.tenant_id == tenant_id).with_for_update(key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def page(
    session: Session,
    tenant_id: str,
    before: str | None,
    limit: int,
    status: list[str] | None = None,
    recipe: str | None = None,
    labels: dict[str, str] | None = None,
    search: str = "",
) -> tuple[list[Job], bool]:
    """A tenant's jobs but for exports and publications, newest first, and whether more follow. `search`: words, each
    of which must be in the job's id, name, recipe, status or student's name, in whatever case."""
    query = select(Job).where(Job.tenant_id == tenant_id, Job.student_of.is_(None))
    if status:
        query = query.where(Job.status.in_(status))
    if recipe:
        query = query.where(Job.recipe == recipe)
    for name, value in (labels or {}).items():
        query = query.where(Job.labels[name].as_string() == value)
    for word in search.split():
        query = query.where(or_(*(text.icontains(word, autoescape=True) for text in _searched())))
    return newest_first(session, query, Job.id, before, limit)


def _searched() -> tuple[SQLColumnExpression[str], ...]:
    return Job.id, Job.name, Job.recipe, Job.status, Job.student["name"].as_string()


def move(session: Session, job: Job, status: Status, **values: Any) -> Status:
    """Change the state at a user's request, whatever a worker does at the same time. Raises `IllegalTransition`, and
    `Gone`."""
    check_request(_status(job), status)
    if status == "cancelled":
        values["finished_at"] = db_now()
    if status == "stopping":
        values = {"stop_requested": True, "stop_reason": "user"} | values
    if status == "queued":  # retried or resumed by its owner: it starts with a clean slate and at once
        clean = {"faults": 0, "stop_requested": False, "stop_reason": None, "error": None}
        values = clean | {"finished_at": None, "not_before": None} | values
    changed = update(Job).where(Job.id == job.id, Job.status == job.status).values(status=status, **values)
    if session.execute(changed, execution_options={"synchronize_session": False}).rowcount != 1:  # type: ignore[attr-defined]
        current = session.scalar(select(Job.status).where(Job.id == job.id))
        raise rows.Gone(job.id) if current is None else IllegalTransition(current, status)
    if status == "cancelled":
        drop_files(session, job.id)
    events.append(session, job.id, "status", {"status": status}, job.attempt)
    session.refresh(job)
    return status


def request_cancel(session: Session, job: Job) -> Status:
    """Cancel: at once when nobody runs it, else `cancelling` until its worker has ended the trainer. Asking again is
    no error. Raises `IllegalTransition` from `succeeded` and `failed`, and `Gone`. Decided under the lock of its row:
    a worker may be about to take it."""
    rows.lock(session, job)
    if job.status in {"cancelling", "cancelled"}:
        return _status(job)
    return move(session, job, "cancelled" if job.status in {"queued", "paused"} else "cancelling")


def count_by_status(session: Session, tenant_id: str | None) -> dict[str, int]:
    """How many jobs are in which status; None: of all tenants."""
    query = select(Job.status, func.count()).group_by(Job.status)
    if tenant_id is not None:
        query = query.where(Job.tenant_id == tenant_id)
    return {row[0]: row[1] for row in session.execute(query)}


def attempts(session: Session, job_id: str) -> list[Attempt]:
    return list(session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)))


def curve_points(session: Session, job_id: str, teacher: int = 0) -> list[dict[str, Any]]:
    """Scored layers of one teacher in depth order, as `LayerQuality.to_dict` made them."""
    of = select(CurvePoint.data).where(CurvePoint.job_id == job_id, CurvePoint.teacher == teacher)
    return list(session.scalars(of.order_by(CurvePoint.layer_index)))


def further_teachers(session: Session, job_ids: Sequence[str]) -> dict[str, list[JobTeacher]]:
    """Of the jobs that have several teachers, those beside the first, in their order."""
    found: dict[str, list[JobTeacher]] = {}
    query = select(JobTeacher).where(JobTeacher.job_id.in_(job_ids)).order_by(JobTeacher.position)
    for row in session.scalars(query):
        found.setdefault(row.job_id, []).append(row)
    return found


def teacher_ids(session: Session, job: Job) -> list[str]:
    """All of the job's teachers, in their order."""
    first = [job.teacher_id] if job.teacher_id else []
    return [*first, *(each.teacher_id for each in further_teachers(session, [job.id]).get(job.id, []))]


def teachings(session: Session, job: Job) -> list[Job | JobTeacher]:
    """What tells of each of the job's teachers its `teacher_id`, `curve` and `selection`: the job itself of the
    first."""
    return [job, *further_teachers(session, [job.id]).get(job.id, [])]


def metrics(session: Session, job_id: str, split: str | None, after_step: int, limit: int) -> list[Metric]:
    query = select(Metric).where(Metric.job_id == job_id, Metric.step > min(after_step, events.MOST))
    if split:
        query = query.where(Metric.split == split)
    return list(session.scalars(query.order_by(Metric.step, Metric.split).limit(limit)))


def logs(session: Session, job_id: str, after_id: int, limit: int) -> list[LogLine]:
    query = select(LogLine).where(LogLine.job_id == job_id, LogLine.id > after_id)
    return list(session.scalars(query.order_by(LogLine.id).limit(limit)))


def log_tail(session: Session, job_id: str, lines: int, after_id: int = 0) -> list[LogLine]:
    """The last lines behind `after_id`, oldest first."""
    query = select(LogLine).where(LogLine.job_id == job_id, LogLine.id > after_id)
    return list(session.scalars(query.order_by(LogLine.id.desc()).limit(lines)))[::-1]


def artifacts(session: Session, job_id: str) -> list[Artifact]:
    return list(session.scalars(select(Artifact).where(Artifact.job_id == job_id).order_by(Artifact.name)))


def artifact(session: Session, job_id: str, name: str) -> Artifact | None:
    return session.get(Artifact, (job_id, name))


def student(session: Session, job_id: str) -> Artifact | None:
    """What the job delivered; None before its end, and where it was deleted."""
    return next(filter(None, (artifact(session, job_id, name) for name in STUDENTS)), None)


def trained_recipe(job: Job) -> str:
    """The recipe that the job trains by: what was chosen, where that was left to it and is known."""
    return (job.choice or {}).get("recipe") or job.recipe


def trained_config(job: Job) -> dict[str, Any]:
    """The configuration of the job that names its recipe: for what goes on from a finished job."""
    recipe = trained_recipe(job)
    if recipe == job.recipe:
        return job.config
    return {name: value for name, value in job.config.items() if name not in OF_THE_CHOICE} | {"recipe": recipe}


def checkpoints(session: Session, job_id: str) -> list[Checkpoint]:
    """Newest first."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.step.desc())
    return list(session.scalars(query))


def cached_curve(session: Session, tenant_id: str, digest: str) -> dict[str, Any] | None:
    """A complete curve of the same teacher, data, sample and parameters."""
    row = session.get(CachedCurve, (tenant_id, digest))
    return row.curve if row else None


def companions(session: Session, job_id: str) -> list[Job]:
    """The jobs that export or publish this one's student, oldest first."""
    return list(session.scalars(select(Job).where(Job.student_of == job_id).order_by(Job.id)))


def exports(session: Session, job_id: str) -> list[Job]:
    """Those that export it."""
    return [job for job in companions(session, job_id) if job.export is not None]


def publications(session: Session, job_id: str) -> list[Job]:
    """Those that publish it."""
    return [job for job in companions(session, job_id) if job.publication is not None]


def publications_of(session: Session, job_ids: Sequence[str]) -> dict[str, list[Job]]:
    """The same of many jobs."""
    found: dict[str, list[Job]] = {}
    query = select(Job).where(Job.student_of.in_(job_ids), Job.publication.is_not(None)).order_by(Job.id)
    for row in session.scalars(query):
        found.setdefault(row.student_of or "", []).append(row)
    return found


def object_keys(session: Session, job_id: str) -> list[str]:
    """Keys of everything in the object store that the job's rows name."""
    made = session.scalars(select(Artifact.object_key).where(Artifact.job_id == job_id))
    return [*made, *session.scalars(select(Checkpoint.object_key).where(Checkpoint.job_id == job_id))]


def drop_files(session: Session, job_id: str) -> None:
    """A cancelled job keeps no files: the caller removes the objects, once this is committed."""
    for table in (Artifact, Checkpoint):
        gone = delete_rows(table).where(table.job_id == job_id)
        session.execute(gone, execution_options={"synchronize_session": False})


def delete(session: Session, job_id: str) -> None:
    """Remove the job with its events, metrics, logs and files' rows (the database cascades)."""
    session.execute(delete_rows(Job).where(Job.id == job_id), execution_options={"synchronize_session": False})


def _status(job: Job) -> Status:
    status: Any = job.status
    found: Status = status
    return found
