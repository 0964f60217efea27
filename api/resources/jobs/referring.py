"""Teachers and datasets that a job's request names."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from store.repositories import resources
from store.tables import Dataset, Teacher

Resource = TypeVar("Resource", Teacher, Dataset)


def ready(
    session: Session, tenant: str, findings: Findings, pointer: str, table: type[Resource], row_id: str
) -> Resource | None:
    """The tenant's row with this id; None, and noted at `pointer`, where there is none or it is not ready."""
    noun, row = table.__name__.lower(), resources.get(session, table, tenant, row_id)
    if row is None:
        findings.add(pointer, f"There is no {noun} {row_id!r}.", f"GET /{noun}s lists them.", f"unknown_{noun}")
        return None
    if row.status == "sampled":
        message = f"{table.__name__} {row.id} is sampled, not ready: only some of its shards were read."
        remedy = f"POST /{noun}s/{row.id}/inspect reads the rest."
        findings.add(pointer, message, remedy, f"{noun}_not_ready")
        return None
    if row.status != "ready":
        message = f"{table.__name__} {row.id} is {row.status}, not ready."
        final = row.status == "invalid"
        told = "says why, under `error`. Correct it and register it again" if final else "tells when it is"
        findings.add(pointer, message, f"GET /{noun}s/{row.id} {told}.", f"{noun}_not_ready")
        return None
    return row
