"""A new job that goes on from a finished one."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict
from api.http.forms import parsed
from api.resources.jobs import processes, service
from api.resources.jobs.schemas import JobCreate, JobExtend
from distill import presets
from distill.types import DistillConfig
from store.repositories import jobs
from store.standing import standing
from store.tables import Job

_ONE_OR_NONE = frozenset({"teacher", "probe"})
"""What a job has or has not: null, as to `POST /jobs`, is a job without."""
_DEFAULTS = DistillConfig().model_dump(mode="json")


def extended(session: Session, tenant: str, job_id: str, body: JobExtend) -> JobCreate:
    """The request for the new job: the finished one's, its student the weights that it starts from. Raises
    `NotFound`, `Conflict` for a job that has no student, and `RequestValidationError` for settings that are none."""
    job = service.find(session, tenant, job_id)
    if job.status != "succeeded":
        detail = f"Job {job.id} {standing(job.status)}; only one that succeeded can be extended."
        raise Conflict(detail, "Wait until it has succeeded.", code="job_not_succeeded")
    if job.student_of is not None:
        detail = f"Job {job.id} trains nothing: it has no student of its own."
        raise Conflict(detail, f"Extend {job.student_of}.", code="job_not_succeeded")
    changed = body.model_dump(mode="json", exclude={"epochs", "config"}, exclude_none=True)
    changed |= dict.fromkeys(_ONE_OR_NONE & {name for name in body.model_fields_set if getattr(body, name) is None})
    start = {"artifact": {"job_id": job.id, "name": jobs.STUDENTS[0]}}
    return parsed(
        JobCreate,
        {
            "teacher": jobs.teacher_ids(session, job) or None,
            "dataset": job.dataset_id,
            "probe": job.probe_id if body.dataset is None else None,
            "student": job.student | {"weights": start},
            "config": _config(job, body),
            "name": job.name,
            "labels": job.labels,
            "priority": job.priority,
            "resources": processes.shown(job).model_dump(),
            "max_attempts": job.max_attempts,
            "max_runtime_seconds": job.max_runtime_seconds,
        }
        | {name: value for name, value in changed.items() if value != ""},
    )


def _config(job: Job, body: JobExtend) -> dict[str, Any]:
    before = jobs.trained_config(job)
    changed = presets.change(before, body.config, _DEFAULTS)
    another = changed.get("recipe", before["recipe"]) != before["recipe"]
    dropped: dict[str, Any] = {"max_steps": None} | ({"recipe_parameters": {}} if another else {})
    return before | dropped | changed | {"epochs": body.epochs}
