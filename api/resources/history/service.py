"""A job's history, read."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.http.paging import encode
from api.resources.history.schemas import (
    AttemptOut,
    CheckpointOut,
    EventOut,
    EventPage,
    LogOut,
    LogPage,
    MetricOut,
    MetricPage,
)
from store.repositories import events, jobs
from store.tables import Attempt, Checkpoint, JobEvent, LogLine, Metric


def event_page(session: Session, job_id: str, after: int, limit: int) -> EventPage:
    rows = events.after(session, job_id, after, limit + 1)
    page = rows[:limit]
    return EventPage(
        items=[event(row) for row in page], next_cursor=encode(page[-1].seq) if len(rows) > limit else None
    )


def metric_page(session: Session, job_id: str, split: str | None, after_step: int, limit: int) -> MetricPage:
    """Whole steps only: a step has a row a split, and a page that cut one in two would lose its rest."""
    rows = jobs.metrics(session, job_id, split, after_step, limit + MAX_SPLITS)
    if len(rows) <= limit:
        return MetricPage(items=[metric(row) for row in rows], next_cursor=None)
    last = rows[limit - 1].step
    page = [row for row in rows if row.step <= last]
    more = len(page) < len(rows) or len(rows) == limit + MAX_SPLITS
    return MetricPage(items=[metric(row) for row in page], next_cursor=encode(last) if more else None)


#: train, validation, test: so many rows at most share a step.
MAX_SPLITS = 3


def log_page(session: Session, job_id: str, after_id: int, limit: int) -> LogPage:
    rows = jobs.logs(session, job_id, after_id, limit + 1)
    page = rows[:limit]
    following = encode(page[-1].id) if len(rows) > limit else None
    return LogPage(items=[_line(row) for row in page], next_cursor=following, follow=_behind(page, after_id))


def log_tail(session: Session, job_id: str, after_id: int, lines: int) -> LogPage:
    rows = jobs.log_tail(session, job_id, lines, after_id)
    return LogPage(items=[_line(row) for row in rows], next_cursor=None, follow=_behind(rows, after_id))


def _behind(rows: list[LogLine], after_id: int) -> str:
    return encode(rows[-1].id if rows else after_id)


def _line(row: LogLine) -> LogOut:
    return LogOut(attempt=row.attempt, level=row.level, message=row.message, created_at=row.created_at)


def event(row: JobEvent) -> EventOut:
    return EventOut(seq=row.seq, kind=row.kind, data=row.data, attempt=row.attempt, created_at=row.created_at)


def metric(row: Metric) -> MetricOut:
    return MetricOut(step=row.step, epoch=row.epoch, split=row.split, values=row.values)


def attempt(row: Attempt) -> AttemptOut:
    return AttemptOut(
        number=row.number,
        worker_id=row.worker_id,
        started_at=row.started_at,
        finished_at=row.finished_at,
        outcome=row.outcome,
        error=row.error,
        exit_code=row.exit_code,
        peak_memory_bytes=row.peak_memory_bytes,
    )


def checkpoint(row: Checkpoint) -> CheckpointOut:
    return CheckpointOut(
        step=row.step,
        epoch=row.epoch,
        attempt=row.attempt,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
    )
