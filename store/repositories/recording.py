"""What a trainer says, written down: each event once, however often an attempt repeats it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, delete, select, tuple_, update
from sqlalchemy.orm import Session

from distill.types import Event
from store.clock import db_now
from store.repositories import events, rows
from store.repositories.leases import Lease, fenced
from store.tables import Artifact, Attempt, CachedCurve, Checkpoint, CurvePoint, Job, JobTeacher, LogLine, Metric


def record(session: Session, lease: Lease, event: Event) -> None:
    """Write one trainer event under the lease. Raises `LeaseLost`. Kinds without a rule here (`done`, `failed`,
    `artifact`, `checkpoint`) are the supervisor's to act on and are not written by this function."""
    rule = _RULES.get(event.kind)
    if rule is not None:
        rule(session, lease, clean(event.data))


def record_batch(session: Session, lease: Lease, batch: Sequence[Event], first: int) -> int:
    """Write a trainer's events numbered from `first` (0 is the attempt's first) and return the next number. Those that
    an earlier call wrote are left out, so a batch whose commit was not acknowledged can be given again. Of several
    `progress` events only the last is written. Raises `LeaseLost`."""
    fenced(session, lease)
    which = and_(Attempt.job_id == lease.job_id, Attempt.number == lease.attempt)
    recorded = session.scalars(select(Attempt.recorded).where(which)).one()
    new = batch[max(0, recorded - first) :]
    last_progress = max((i for i, event in enumerate(new) if event.kind == "progress"), default=-1)
    for index, event in enumerate(new):
        if event.kind != "progress" or index == last_progress:
            record(session, lease, event)
    following = max(recorded, first + len(batch))
    count = update(Attempt).where(which).values(recorded=following)
    session.execute(count, execution_options={"synchronize_session": False})
    return following


def note_memory(session: Session, lease: Lease, peak_bytes: int) -> None:
    """The attempt's largest memory so far. Raises `LeaseLost`."""
    fenced(session, lease)
    which = and_(Attempt.job_id == lease.job_id, Attempt.number == lease.attempt)
    grown = update(Attempt).where(which).values(peak_memory_bytes=peak_bytes)
    session.execute(grown, execution_options={"synchronize_session": False})


def clean(value: Any) -> Any:
    """`value` as every database can keep it: NaN and infinities become null (JSON has none), NUL characters and lone
    surrogates go (Postgres takes neither)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.replace("\x00", "").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def _phase(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease, phase=data["phase"])
    events.append(session, lease.job_id, "phase", data, lease.attempt)


def _resolved(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease)
    known = session.scalar(select(Job.resolved).where(Job.id == lease.job_id))
    if known != data:
        fenced(session, lease, resolved=data)
        events.append(session, lease.job_id, "resolved", data, lease.attempt)


def _choice(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    """As far as it has come; an attempt that goes on from a checkpoint says again what it knows."""
    fenced(session, lease)
    known = session.scalar(select(Job.choice).where(Job.id == lease.job_id)) or {}
    if {**known, "seconds": 0} != {**data, "seconds": 0}:
        fenced(session, lease, choice=data)
        events.append(session, lease.job_id, "choice", data, lease.attempt)


def _layers(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    _of_teacher(session, lease, "layers", "curve", data)


def _layer_quality(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease)
    teacher, point = _whose(data)
    if session.get(CurvePoint, (lease.job_id, teacher, point["index"])) is None:
        session.add(CurvePoint(job_id=lease.job_id, teacher=teacher, layer_index=point["index"], data=point))
        events.append(session, lease.job_id, "layer_quality", data, lease.attempt)


def _selection(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    _of_teacher(session, lease, "selection", "selection", data)


def _whose(data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Which teacher of several an event is of, from 0, and the rest of it."""
    return int(data.get("teacher", 0)), {name: value for name, value in data.items() if name != "teacher"}


def _of_teacher(session: Session, lease: Lease, kind: str, column: str, data: dict[str, Any]) -> None:
    """Write what an event says of one teacher: of the first into the job's row, of another beside it."""
    fenced(session, lease)
    teacher, told = _whose(data)
    if teacher == 0:
        if session.scalar(select(getattr(Job, column)).where(Job.id == lease.job_id)) == told:
            return
        fenced(session, lease, **{column: told})
    else:
        row = session.get_one(JobTeacher, (lease.job_id, teacher))
        if getattr(row, column) == told:
            return
        setattr(row, column, told)
    events.append(session, lease.job_id, kind, data, lease.attempt)


def _metrics(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease)
    row = session.get(Metric, (lease.job_id, data["split"], data["step"]))
    if row is not None:
        row.epoch, row.values = data["epoch"], data["values"]
        return
    session.add(Metric(job_id=lease.job_id, **{key: data[key] for key in ("split", "step", "epoch", "values")}))
    events.append(session, lease.job_id, "metrics", data, lease.attempt)


def _progress(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease, progress=data)  # the latest only: a step counter is no history


def _log(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease)
    session.add(
        LogLine(job_id=lease.job_id, attempt=lease.attempt, level=data["level"], message=data["message"][:8000])
    )


def _warning(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    """One of a code, and of each of several teachers: a later attempt that says the same adds none."""
    fenced(session, lease)
    known = session.scalar(select(Job.warnings).where(Job.id == lease.job_id)) or {}
    teacher = (data.get("details") or {}).get("teacher")
    key = data["code"] if teacher is None else f"{data['code']} {teacher}"
    if known.get(key) != data:
        fenced(session, lease, warnings=known | {key: data})
        events.append(session, lease.job_id, "warning", data, lease.attempt)


def _result(session: Session, lease: Lease, data: dict[str, Any]) -> None:
    fenced(session, lease, result=data)
    events.append(session, lease.job_id, "result", data, lease.attempt)


_RULES: dict[str, Callable[[Session, Lease, dict[str, Any]], None]] = {
    "phase": _phase,
    "resolved": _resolved,
    "choice": _choice,
    "layers": _layers,
    "layer_quality": _layer_quality,
    "selection": _selection,
    "metrics": _metrics,
    "progress": _progress,
    "log": _log,
    "warning": _warning,
    "result": _result,
}


def add_artifact(session: Session, lease: Lease, artifact: Artifact) -> None:
    """Write a verified artifact; a repeated attempt replaces the row of the same name."""
    fenced(session, lease)
    new = session.get(Artifact, (lease.job_id, artifact.name)) is None
    session.merge(artifact)
    if new:
        data = {"name": artifact.name, "size_bytes": artifact.size_bytes, "sha256": artifact.sha256}
        events.append(session, lease.job_id, "artifact", data, lease.attempt)


def add_checkpoint(session: Session, lease: Lease, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that is complete in the store; one of the same step is replaced without another event."""
    fenced(session, lease)
    new = session.get(Checkpoint, (lease.job_id, checkpoint.step)) is None
    session.merge(checkpoint)
    if not new:
        return
    data = {"step": checkpoint.step, "epoch": checkpoint.epoch, "size_bytes": checkpoint.size_bytes}
    events.append(session, lease.job_id, "checkpoint", data, lease.attempt)


def cache_curve(session: Session, tenant_id: str, curve: dict[str, Any]) -> None:
    """Keep a complete curve for reuse under its digest; the first one stays, of two jobs' at the same moment too."""
    row = {"tenant_id": tenant_id, "digest": curve["digest"], "curve": clean(curve)}
    session.execute(rows.insert(session, CachedCurve).values(**row).on_conflict_do_nothing())


def forget_curves(session: Session, older_seconds: float) -> int:
    """Remove curves made so long ago that no job of their tenant has: they are only ever found by such a job's (of the
    same teacher and dataset, neither of which can go before its jobs). How many."""
    digest, further = Job.curve["digest"].as_string(), JobTeacher.curve["digest"].as_string()
    of_others = select(Job.tenant_id, further).join(JobTeacher, JobTeacher.job_id == Job.id)
    named = select(Job.tenant_id, digest).where(digest.is_not(None)).union_all(of_others.where(further.is_not(None)))
    lost = tuple_(CachedCurve.tenant_id, CachedCurve.digest).not_in(named)
    gone = delete(CachedCurve).where(CachedCurve.created_at < db_now(-older_seconds), lost)
    return int(session.execute(gone, execution_options={"synchronize_session": False}).rowcount)  # type: ignore[attr-defined]
