"""Formats in which a student is asked for: what can be known of them before a worker sees them."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.processes import LIVE_SECONDS
from distill import exports, parameters, tasks
from distill.tasks import unwritten
from distill.types import ExportRequest
from store.repositories import system
from store.tables import Job


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
    """The same of a job's configuration, and formats that no worker can write all of."""
    for position, each in enumerate(wanted):
        check(session, findings, f"/config/exports/{position}", each, task)
    names = {each.format for each in wanted} - set(system.lacked_exports(session, LIVE_SECONDS))
    if _waits(system.lacked_by_worker(session, LIVE_SECONDS), names):
        message = f"No live worker can write all of {_listed(names)}, though each is written by one."
        remedy = "Ask for some of them here and for the others of the finished job (POST /jobs/ID/exports)."
        findings.add("/config/exports", message, remedy, "missing_package", formats=sorted(names))


def waits(session: Session, rows: Sequence[Job]) -> dict[str, str]:
    """Of the jobs that wait for a worker which can write what they ask for, while workers live that cannot: what they
    wait for."""
    wanted = {job.id: names for job in rows if job.status == "queued" and (names := _wanted(job))}
    lacked = system.lacked_by_worker(session, LIVE_SECONDS) if wanted else []
    return {
        job_id: f"A worker that can write {_listed(names)}; no live worker can."
        for job_id, names in wanted.items()
        if _waits(lacked, names)
    }


def _waits(lacked: Sequence[Collection[str]], names: Set[str]) -> bool:
    return bool(names and lacked) and not any(names.isdisjoint(each) for each in lacked)


def _wanted(job: Job) -> set[str]:
    """The formats that the job writes: an export its own, one that trains those of its configuration."""
    if job.publication is not None:
        return set()
    asked = [job.export] if job.export is not None else job.config.get("exports") or []
    return {str(each["format"]) for each in asked}


def _listed(names: Collection[str]) -> str:
    return " and ".join(sorted(names))
