"""The row of a small job on another's student (`companions`)."""

from __future__ import annotations

from typing import Any

from store import logs
from store.ids import new_id
from store.repositories import jobs
from store.settings import Settings
from store.tables import Job


def row(settings: Settings, source: Job, name: str, **values: Any) -> Job:
    """The source's job once more, on its data and with its settings. `values`: what it does, and what differs."""
    given: dict[str, Any] = {
        "id": new_id("job"),
        "tenant_id": source.tenant_id,
        "name": name[:200],
        "status": "queued",
        "priority": source.priority,
        "recipe": jobs.trained_recipe(source),
        "config": jobs.trained_config(source),
        "student": source.student,
        "teacher_id": source.teacher_id,
        "dataset_id": source.dataset_id,
        "probe_id": source.probe_id,
        "student_of": source.id,
        "max_attempts": settings.max_attempts,
        "max_runtime_seconds": settings.max_runtime_seconds or None,
        "request_id": logs.ids().get("request_id"),
    }
    return Job(**given | values)
