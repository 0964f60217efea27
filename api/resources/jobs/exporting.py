"""Formats in which a student is asked for: what can be known of them before a worker sees them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.processes import LIVE_SECONDS
from distill import exports, parameters, tasks
from distill.tasks import TaskSpec
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
        spec = tasks.spec(task)
        if wanted.format not in spec.formats:
            _refuse(findings, pointer, wanted, spec)
            return
        _check_parameters(findings, pointer, wanted, spec)
    lacked = system.lacked_exports(session, LIVE_SECONDS).get(wanted.format)
    if lacked is not None:
        message = f"No live worker can write {wanted.format}. {lacked['message']}"
        remedy = f"{lacked['remedy']} Start the worker anew then. Or ask for another format."
        findings.add(f"{pointer}/format", message, remedy, lacked["code"], format=wanted.format, **lacked["details"])


def check_all(session: Session, findings: Findings, wanted: Sequence[ExportRequest], task: str | None) -> None:
    """The same of a job's configuration."""
    for position, each in enumerate(wanted):
        check(session, findings, f"/config/exports/{position}", each, task)


def _check_parameters(findings: Findings, pointer: str, wanted: ExportRequest, spec: TaskSpec) -> None:
    for name in filter(wanted.parameters.get, exports.parameters_without(wanted.format, spec.exports)):
        message = f"{spec.title}: a {wanted.format} file of its students cannot have {name}."
        remedy = f"Ask for {wanted.format} without {name}."
        told = {"task": spec.name, "format": wanted.format}
        findings.add(f"{pointer}/parameters/{name}", message, remedy, "not_exportable", **told)


def _refuse(findings: Findings, pointer: str, wanted: ExportRequest, spec: TaskSpec) -> None:
    having = ", ".join(each.title for each in tasks.specs() if wanted.format in each.formats)
    message = f"{spec.title}: there is no format {wanted.format} of its students. It is for: {having}."
    own = f"Ask for one of {', '.join(spec.formats)}, or use" if spec.formats else "Use"
    remedy = f"{own} the student as it is delivered."
    findings.add(f"{pointer}/format", message, remedy, "not_exportable", task=spec.name, format=wanted.format)
