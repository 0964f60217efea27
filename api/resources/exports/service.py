"""What /jobs/{id}/exports does: an export is a job, with a finished job's student in place of training."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.artifacts import service as artifacts
from api.resources.datasets.service import task_of
from api.resources.exports.schemas import ExportCreate, ExportList, ExportOut
from api.resources.jobs import companion_row, companions, exporting
from api.resources.jobs.findings import Findings
from api.resources.jobs.service import find
from api.state.context import Context
from distill.types import ExportRequest
from store.repositories import jobs
from store.tables import Dataset, Job

NEEDED = ("report.json",)


def submit(context: Context, tenant: str, job_id: str, body: ExportCreate, key: str | None) -> tuple[ExportOut, bool]:
    """Queue the export; the export, and whether an earlier request with this key made it."""

    def make(session: Session) -> Job:
        source = find(session, tenant, job_id)
        _check(session, source, body)
        request = body.model_dump(mode="json")
        name = f"{body.format} of {source.name or source.id}"
        config = jobs.trained_config(source) | {"exports": [request]}
        return companion_row.row(context.settings, source, name, config=config, export=request)

    sent = body.model_dump(mode="json")
    return companions.submit(context, tenant, f"/jobs/{job_id}/exports", sent, key, make, _of_job)


def _check(session: Session, source: Job, body: ExportCreate) -> None:
    """Raises `Conflict` for a job without a student, `Unprocessable` for a format that cannot be."""
    companions.check_finished(session, source, "export", NEEDED)
    findings, dataset = Findings(), session.get(Dataset, source.dataset_id)
    exporting.check(session, findings, "", body, None if dataset is None else task_of(dataset))
    findings.raise_if_any()


def listed(session: Session, tenant: str, job_id: str) -> ExportList:
    job = find(session, tenant, job_id)
    later = [_of_job(session, each) for each in jobs.exports(session, job.id)]
    return ExportList(items=[*_of_run(session, job), *later])


def shown(session: Session, tenant: str, job_id: str, export_id: str) -> ExportOut:
    """Raises `NotFound`."""
    return companions.one_of(listed(session, tenant, job_id).items, job_id, "export", export_id)


def _of_job(session: Session, job: Job) -> ExportOut:
    """An export that is a job of its own."""
    request, said = ExportRequest.model_validate(job.export), (job.result or {}).get("exports", {})
    entry = next(iter(said.get("exports", [])), None)
    return ExportOut(
        id=job.id,
        job=job.student_of or "",
        format=request.format,
        parameters=request.parameters,
        max_drop=request.max_drop,
        status=job.status,
        error=job.error,
        exceeds_max_drop=bool(entry and entry["exceeds_max_drop"]),
        result=entry,
        torch=said.get("torch", {}).get("student"),
        files=[artifacts.shown(row) for row in jobs.artifacts(session, job.id)],
        created_at=job.created_at,
        finished_at=job.finished_at,
        links={"self": companions.link(job), "job": f"/jobs/{job.id}"},
    )


def _of_run(session: Session, job: Job) -> list[ExportOut]:
    """Those that the job itself made, for its configuration asked for them."""
    said = (job.result or {}).get("exports")
    if not said or job.student_of is not None:
        return []
    entries = [(each, None) for each in said["exports"]]
    entries += [(None, each) for each in said["failed"]]
    return [_made(session, job, number, *each, said["torch"]) for number, each in enumerate(entries, 1)]


def _made(
    session: Session, job: Job, number: int, entry: dict[str, Any] | None, failure: dict[str, Any] | None,
    torch: dict[str, Any],
) -> ExportOut:  # fmt: skip
    told: dict[str, Any] = entry or failure or {}
    rows = (jobs.artifact(session, job.id, file["name"]) for file in (*told.get("files", []), *told.get("beside", [])))
    return ExportOut(
        id=f"{job.id}.{number}",
        job=job.id,
        format=told["format"],
        parameters=told.get("parameters", {}),
        max_drop=told.get("max_drop"),
        status="failed" if entry is None else "succeeded",
        error=None if failure is None else failure["error"],
        exceeds_max_drop=bool(told.get("exceeds_max_drop")),
        result=entry,
        torch=torch.get(told["network"]),
        files=[artifacts.shown(row) for row in rows if row is not None],
        created_at=job.created_at,
        finished_at=job.finished_at,
        links={"self": f"/jobs/{job.id}/exports/{job.id}.{number}"},
    )
