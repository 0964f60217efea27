"""Formats in which a student is asked for: what can be known of them before a worker sees them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.processes import LIVE_SECONDS
from distill import exports, parameters, tasks
from distill.tasks import unwritten
from distill.types import ExportRequest
from store.repositories import system


def check(
    session: Session, findings: Findings, pointer: str, wanted: ExportRequest, task: str | None
) -> None:  # fmt: skip
    """Note a format that there is not, parameters that it has not, a task whose students it does not hold, and a format
    that no live worker can write. `task`: None where it is not known."""
    with findings.at(f"{pointer}/format"):
        exports.registry.check(wanted.format)
        with findings.at(f"{pointer}/parameters", "parameter"):
            parameters.check(exports.registry.parameters(wanted.format), wanted.parameters)
    if wanted.format in exports.names() and task is not None and task in tasks.names():
        for refusal in unwritten.refusals(tasks.spec(task), wanted):
            parameter = refusal.details.get("parameter")
            at = f"{pointer}/parameters/{parameter}" if parameter else f"{pointer}/format"
            findings.add(at, refusal.message, refusal.remedy, refusal.code, task=task, format=wanted.format)
            if not parameter:
                return
    lacked = system.lacked_exports(session, LIVE_SECONDS).get(wanted.format)
    if lacked is not None:
        message = f"No live worker can write {wanted.format}. {lacked['message']}"
        remedy = f"{lacked['remedy']} Start the worker anew then. Or ask for another format."
        findings.add(f"{pointer}/format", message, remedy, lacked["code"], format=wanted.format, **lacked["details"])


def check_all(session: Session, findings: Findings, wanted: Sequence[ExportRequest], task: str | None) -> None:
    """The same of a job's configuration."""
    for position, each in enumerate(wanted):
        check(session, findings, f"/config/exports/{position}", each, task)
