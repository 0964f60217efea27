"""A trial's job: the study's base job with the values of a point and a seed."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from distill.search.space import Assignment, applied, canonical
from distill.types import Architecture, DistillConfig
from store.ids import new_id
from store.repositories import jobs, study_events
from store.tables import Job, Study, Trial


def digest(study: Study, assignment: Assignment) -> str:
    """Of all that the job would do, its seed aside: of equal ones a single one is run. A configuration that cannot be
    is told apart by what was asked."""
    job = applied(study.base, assignment)
    try:
        job["config"] = _config(job, 0).model_dump(mode="json")
    except ValidationError:
        job = {"refused": assignment}
    return hashlib.sha256(canonical(job).encode()).hexdigest()


def start(session: Session, study: Study, trial: Trial) -> str | None:
    """Write the trial down and queue its job; the job's id, None of a trial whose configuration no job takes."""
    job = applied(study.base, trial.assignment)
    try:
        row = _row(study, trial, job)
    except ValidationError as error:
        _refuse(session, trial, error)
        return None
    jobs.add(session, row, job["teacher"][1:])
    trial.job_id = row.id
    session.add(trial)
    session.flush()
    study_events.append(session, study.id, "trial", told(trial))
    return row.id


def told(trial: Trial) -> dict[str, Any]:
    """What an event says of a trial."""
    names = ("number", "configuration", "seed", "purpose", "state", "outcome", "job_id", "values")
    return {name: getattr(trial, name) for name in names}


def _row(study: Study, trial: Trial, job: dict[str, Any]) -> Job:
    config = _config(job, trial.seed)
    return Job(
        id=new_id("job"),
        tenant_id=study.tenant_id,
        name=f"{study.name or study.id} #{trial.number}"[-200:],
        labels=job["labels"],
        status="queued",
        priority=job["priority"],
        recipe=config.recipe,
        config=config.model_dump(mode="json"),
        student=Architecture.model_validate(job["student"]).model_dump(mode="json"),
        start=job["start"],
        teacher_id=next(iter(job["teacher"]), None),
        dataset_id=job["dataset"],
        compare_with=job["compare_with"],
        probe_id=job["probe"],
        max_attempts=job["max_attempts"],
        max_runtime_seconds=job["max_runtime_seconds"],
        processes=job["processes"],
        hosts=job.get("hosts", 1),
        sharding=job.get("sharding", "none"),
        request_id=study.request_id,
    )


def _config(job: dict[str, Any], seed: int) -> DistillConfig:
    return DistillConfig.model_validate(job["config"] | {"seed": seed})


def _refuse(session: Session, trial: Trial, error: ValidationError) -> None:
    """Three values may contradict each other of which any two do not: that is seen only here."""
    trial.state, trial.outcome, trial.seconds = "failed", "invalid_config", 0.0
    session.add(trial)
    session.flush()
    found = told(trial) | {"error": str(error.errors(include_url=False)[0]["msg"])}
    study_events.append(session, trial.study_id, "trial", found)
