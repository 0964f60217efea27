"""What jobs of this installation took: for estimates of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.repositories.jobs import trained_recipe
from store.tables import Attempt, Job


@dataclass(frozen=True, slots=True)
class Run:
    """A job that succeeded at its first attempt. `seconds` from claim to end, without the choice of its recipe;
    `peak_bytes`: its trainer's memory."""

    recipe: str
    student: dict[str, Any]
    config: dict[str, Any]
    result: dict[str, Any]
    seconds: float
    peak_bytes: int | None


def latest(session: Session, limit: int = 50) -> list[Run]:
    """The newest such jobs, of all tenants, that one process trained: figures of the machine, not of anybody's data."""
    peak = select(func.max(Attempt.peak_memory_bytes)).where(Attempt.job_id == Job.id).scalar_subquery()
    done = (Job.student_of.is_(None), Job.status == "succeeded", Job.attempt == 1, Job.processes == 1)
    there = (Job.result.is_not(None), Job.started_at.is_not(None))
    query = select(Job, peak).where(*done, *there).order_by(Job.id.desc()).limit(limit)
    return [_run(job, peak_bytes) for job, peak_bytes in session.execute(query)]


def _run(job: Job, peak_bytes: int | None) -> Run:
    assert job.result is not None
    assert job.started_at is not None
    ended = job.finished_at or job.started_at
    config = (job.resolved or {}).get("config", job.config)
    seconds = (ended - job.started_at).total_seconds()
    seconds -= (job.choice or {}).get("seconds", 0.0)  # the choice of a recipe is no part of the training
    return Run(trained_recipe(job), job.student, config, job.result, seconds, peak_bytes)
