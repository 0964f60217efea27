"""What /jobs/{id}/exports does: an export is a job, with a finished job's student in place of training."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound
from api.http.idempotency import replayed, request_hash
from api.resources.artifacts import service as artifacts
from api.resources.datasets.service import task_of
from api.resources.exports.schemas import ExportCreate, ExportList, ExportOut
from api.resources.jobs import exporting
from api.resources.jobs.findings import Findings
from api.resources.jobs.service import find
from api.services import quotas
from api.state.context import Context
from distill.types import ExportRequest
from store import logs, tracing
from store.ids import new_id
from store.repositories import idempotency, jobs
from store.settings import Settings
from store.tables import Dataset, Job

NEEDED = "report.json"


def submit(context: Context, tenant: str, job_id: str, body: ExportCreate, key: str | None) -> tuple[ExportOut, bool]:
    """Queue the export, commit, and only then ring; the export, and whether an earlier request with this key made
    it."""
    hashed = request_hash(f"/jobs/{job_id}/exports", body.model_dump(mode="json"))
    with context.database.write() as session:
        source = find(session, tenant, job_id)
        earlier = replayed(session, tenant, key, hashed)
        if earlier is not None:
            return _of_job(session, find(session, tenant, earlier)), True
        quotas.check_queue(session, context.settings, tenant)
        _check(session, source, body)
        row = _row(context.settings, source, body)
        with tracing.span("job", "producer", job_id=row.id, recipe=row.recipe):
            row.traceparent = tracing.traceparent()
            job = jobs.add(session, row, jobs.teacher_ids(session, source)[1:])
        if key:
            idempotency.answer(session, tenant, key, 202, job.id)
        answer = _of_job(session, job)
    context.doorbell.ring("job", answer.id)
    return answer, False


def _check(session: Session, source: Job, body: ExportCreate) -> None:
    """Raises `Conflict` for a job without a student, `Unprocessable` for a format that cannot be."""
    if source.status != "succeeded" or source.export_of is not None:
        why = f"is {source.status}" if source.export_of is None else "is an export itself"
        raise Conflict(f"Job {source.id} {why}: it has no student to export.", "Name a job that has succeeded.",
                       code="job_not_succeeded")  # fmt: skip
    if not _has_files(session, source):
        detail = f"The files of job {source.id} were deleted; there is nothing to export."
        raise Conflict(detail, "Train the student again.", code="files_deleted")
    findings, dataset = Findings(), session.get(Dataset, source.dataset_id)
    exporting.check(findings, "", body, None if dataset is None else task_of(dataset))
    findings.raise_if_any()


def _has_files(session: Session, source: Job) -> bool:
    student = any(jobs.artifact(session, source.id, name) for name in artifacts.STUDENTS)
    return student and jobs.artifact(session, source.id, NEEDED) is not None


def _row(settings: Settings, source: Job, body: ExportCreate) -> Job:
    """The source's job once more, on its data and with its settings, so that the test samples are the same."""
    request = body.model_dump(mode="json")
    return Job(
        id=new_id("job"),
        tenant_id=source.tenant_id,
        name=f"{body.format} of {source.name or source.id}"[:200],
        status="queued",
        priority=source.priority,
        recipe=source.recipe,
        config=source.config | {"exports": [request]},
        student=source.student,
        teacher_id=source.teacher_id,
        dataset_id=source.dataset_id,
        probe_id=source.probe_id,
        export_of=source.id,
        export=request,
        max_attempts=settings.max_attempts,
        max_runtime_seconds=settings.max_runtime_seconds or None,
        request_id=logs.ids().get("request_id"),
    )


def listed(session: Session, tenant: str, job_id: str) -> ExportList:
    job = find(session, tenant, job_id)
    later = [_of_job(session, each) for each in jobs.exports(session, job.id)]
    return ExportList(items=[*_of_run(session, job), *later])


def shown(session: Session, tenant: str, job_id: str, export_id: str) -> ExportOut:
    """Raises `NotFound`."""
    items = listed(session, tenant, job_id).items
    found = next((each for each in items if each.id == export_id), None)
    if found is None:
        raise NotFound(f"Job {job_id} has no export {export_id!r}.", f"GET /jobs/{job_id}/exports lists them.")
    return found


def _of_job(session: Session, job: Job) -> ExportOut:
    """An export that is a job of its own."""
    request, said = ExportRequest.model_validate(job.export), (job.result or {}).get("exports", {})
    entry = next(iter(said.get("exports", [])), None)
    return ExportOut(
        id=job.id,
        job=job.export_of or "",
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
        links={"self": f"/jobs/{job.export_of}/exports/{job.id}", "job": f"/jobs/{job.id}"},
    )


def _of_run(session: Session, job: Job) -> list[ExportOut]:
    """Those that the job itself made, for its configuration asked for them."""
    said = (job.result or {}).get("exports")
    if not said or job.export_of is not None:
        return []
    entries = [(each, None) for each in said["exports"]]
    entries += [(None, each) for each in said["failed"]]
    return [_made(session, job, number, *each, said["torch"]) for number, each in enumerate(entries, 1)]


def _made(
    session: Session, job: Job, number: int, entry: dict[str, Any] | None, failure: dict[str, Any] | None,
    torch: dict[str, Any],
) -> ExportOut:  # fmt: skip
    told: dict[str, Any] = entry or failure or {}
    rows = (jobs.artifact(session, job.id, file["name"]) for file in told.get("files", []))
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
