"""What /teachers does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from api import architectures, incoming, registration
from api.context import Context
from api.forms import form_fields, invalid, only, parsed
from api.idempotency import request_hash
from api.problems import Conflict
from api.registration import Key
from api.resources.teachers.schemas import TeacherForm, TeacherFromArtifact, TeacherOut
from api.uploads import ReceivedFile, Upload
from distill.errors import InvalidTeacher, UnknownName
from distill.safetensors_header import read_header
from distill.types import Architecture
from store.ids import new_id
from store.objects.base import fetch
from store.repositories import jobs
from store.tables import Artifact, Job, Teacher

JSON_FIELDS = frozenset({"options", "labels"})
MODEL_SUFFIXES = (".safetensors",)


def register(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    """Store a teacher for inspection; its id, and whether an earlier request with this key had made it."""
    if upload.json is not None:
        return _from_artifact(context, tenant, parsed(TeacherFromArtifact, upload.json), key)
    only(upload.files, frozenset({"file"}))
    form = parsed(TeacherForm, form_fields(upload, JSON_FIELDS))
    if "file" not in upload.files:
        raise invalid("/file", "The form has no file.", "Send the checkpoint as the form's file field `file`.")
    file = upload.files["file"]
    architecture = _architecture(context, Architecture(name=form.architecture, options=form.options))
    hashed = request_hash("/teachers", [form.model_dump(), file.sha256])
    return _add(context, tenant, form.name or file.filename, architecture, form.labels, file, Key(key, hashed))


def _from_artifact(context: Context, tenant: str, body: TeacherFromArtifact, key: str | None) -> tuple[str, bool]:
    with context.database.read() as session:
        job, artifact = _source(session, tenant, body)
    name = body.name or job.name or f"{job.student['name']} of {job.id}"
    hashed = request_hash("/teachers", body.model_dump())
    architecture = Architecture.model_validate(job.student)
    with _copy(context, artifact) as folder:
        file = ReceivedFile(Path(folder) / "weights", artifact.name, artifact.size_bytes, artifact.sha256)
        fetch(context.objects, artifact.object_key, file.path)
        return _add(context, tenant, name, architecture, body.labels, file, Key(key, hashed))


def _copy(context: Context, artifact: Artifact) -> TemporaryDirectory[str]:
    """A folder for the teacher's own copy: deleting the job must not take the teacher's weights along."""
    if not artifact.name.endswith(MODEL_SUFFIXES):
        raise invalid("/artifact/name", f"{artifact.name!r} holds no weights.", "Name the job's student.safetensors.")
    return incoming.folder(context.settings)


def _source(session: Session, tenant: str, body: TeacherFromArtifact) -> tuple[Job, Artifact]:
    job = jobs.get(session, tenant, body.artifact.job_id)
    if job is None:
        raise invalid("/artifact/job_id", f"There is no job {body.artifact.job_id!r}.", "GET /jobs lists them.")
    if job.status != "succeeded":
        detail = f"Job {job.id} is {job.status}; only a job that succeeded has a student."
        raise Conflict(detail, "Wait until it has succeeded.", code="job_not_succeeded")
    artifact = jobs.artifact(session, job.id, body.artifact.name)
    if artifact is None:
        known = ", ".join(item.name for item in jobs.artifacts(session, job.id))
        raise invalid("/artifact/name", f"Job {job.id} has no file {body.artifact.name!r}.", f"It has: {known}.")
    return job, artifact


def _architecture(context: Context, architecture: Architecture) -> Architecture:
    try:
        with context.database.read() as session:
            return architectures.resolved(session, architecture)
    except UnknownName as error:
        code, details = error.code, error.details
        raise invalid("/architecture", error.message, error.remedy, code, **details) from error


def _add(
    context: Context,
    tenant: str,
    name: str,
    architecture: Architecture,
    labels: dict[str, str],
    file: ReceivedFile,
    key: Key,
) -> tuple[str, bool]:
    _check_header(file)
    teacher_id = new_id("tch")
    object_key = f"teachers/{teacher_id}/weights.safetensors"
    row = Teacher(
        id=teacher_id,
        tenant_id=tenant,
        name=name,
        status="inspecting",
        architecture=architecture.model_dump(mode="json"),
        object_key=object_key,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        labels=labels,
    )
    return registration.add(context, row, {object_key: file}, key)


def _check_header(file: ReceivedFile) -> None:
    """Refuse what is no safetensors file before it is stored."""
    try:
        read_header(file.path)
    except InvalidTeacher as error:
        raise invalid("/file", error.message, error.remedy, error.code, **error.details) from error


def shown(row: Teacher) -> TeacherOut:
    return TeacherOut(
        id=row.id,
        name=row.name,
        status=row.status,
        architecture=Architecture.model_validate(row.architecture),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        report=row.report,
        error=row.error,
        labels=row.labels,
        created_at=row.created_at,
    )
