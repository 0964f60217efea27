"""The teachers that a job's request names: none, one, or a set."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs import fitting
from api.resources.jobs.findings import Findings
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import JobCreate
from distill.recorded import recorded_view
from store.tables import Teacher


def named(body: JobCreate) -> list[str]:
    """Their ids, in order."""
    if body.teacher is None:
        return []
    return [body.teacher] if isinstance(body.teacher, str) else list(body.teacher)


def check(session: Session, tenant: str, findings: Findings, body: JobCreate) -> list[Teacher]:
    """Their rows; those that cannot be used are noted and left out, as is that there is none where one is needed."""
    ids = named(body)
    if not ids and fitting.needs_teacher(body.config.recipe):
        message = f"The recipe {body.config.recipe!r} needs a teacher."
        findings.add("/teacher", message, "Name a teacher, or use cross_entropy.", "teacher_required")
    listed = not isinstance(body.teacher, str)
    found = [
        _one(session, tenant, findings, f"/teacher/{number}" if listed else "/teacher", row_id)
        for number, row_id in enumerate(ids)
    ]
    return [row for row in found if row is not None]


def _one(session: Session, tenant: str, findings: Findings, pointer: str, row_id: str) -> Teacher | None:
    row = ready(session, tenant, findings, pointer, Teacher, row_id)
    if row is not None:
        _check_recorded(findings, pointer, row.report or {})
    return row


def _check_recorded(findings: Findings, pointer: str, report: dict[str, Any]) -> None:
    """Check the preprocessing that the teacher's header records: releases before this check registered teachers with
    values that no run can use."""
    if "in_channels" in report:
        with findings.at(pointer):
            recorded_view(report.get("metadata", {}), report["in_channels"])
