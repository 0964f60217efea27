"""Formats in which a student is asked for: what can be known of them before a worker sees them."""

from __future__ import annotations

from collections.abc import Sequence

from api.resources.jobs.findings import Findings
from distill import exports, parameters, tasks
from distill.tasks import TaskSpec
from distill.types import ExportRequest


def check(findings: Findings, pointer: str, wanted: ExportRequest, task: str | None) -> None:
    """Note a format that there is not, parameters that it has not, and a task whose students it does not hold. `task`:
    None where it is not known."""
    with findings.at(f"{pointer}/format"):
        exports.registry.check(wanted.format)
        with findings.at(f"{pointer}/parameters", "parameter"):
            parameters.check(exports.registry.parameters(wanted.format), wanted.parameters)
    if task in tasks.names() and not tasks.spec(task).exports:
        _refuse(findings, pointer, wanted, tasks.spec(task))


def check_all(findings: Findings, wanted: Sequence[ExportRequest], task: str | None) -> None:
    """The same of a job's configuration."""
    for position, each in enumerate(wanted):
        check(findings, f"/config/exports/{position}", each, task)


def _refuse(findings: Findings, pointer: str, wanted: ExportRequest, spec: TaskSpec) -> None:
    having = ", ".join(each.title for each in tasks.specs() if each.exports)
    message = f"{spec.title}: there is no format {wanted.format} of its students."
    remedy = f"Use the student as it is delivered. Other formats are for: {having}."
    findings.add(f"{pointer}/format", message, remedy, "not_exportable", task=spec.name, format=wanted.format)
