"""What /teachers does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from api import architectures, registration
from api.context import Context
from api.forms import form_fields, invalid, only, parsed
from api.idempotency import request_hash
from api.problems import Conflict
from api.registration import Key
from api.resources.teachers.schemas import TeacherForm, TeacherFromArtifact, TeacherFromUpload, TeacherOut
from api.uploads import ReceivedFile, Upload, incoming
from distill.errors import InvalidTeacher, UnknownName
from distill.safetensors_header import DEFAULT_LIMITS, read_header
from distill.types import Architecture
from store.ids import new_id
from store.objects.base import fetch
from store.repositories import jobs
from store.tables import Artifact, Job, Teacher
from store.tables import Upload as StoredUpload

JSON_FIELDS = frozenset({"options", "labels"})
MODEL_SUFFIXES = (".safetensors",)


def register(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    """Store a teacher for inspection; its id, and whether an earlier request with this key had made it."""
    if isinstance(upload.json, dict) and "upload" in upload.json:
        return _from_upload(context, tenant, parsed(TeacherFromUpload, upload.json), key)
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


def _from_upload(context: Context, tenant: str, body: TeacherFromUpload, key: str | None) -> tuple[str, bool]:
    with context.database.read() as session:
        upload = registration.find_upload(session, tenant, body.upload, "teacher", "/upload")
    architecture = _architecture(context, Architecture(name=body.architecture, options=body.options))
    if upload.status == "complete":
        _check_stored(context, upload)
    row = _row(tenant, body.name or upload.filename, architecture, body.labels, upload.size_bytes, str(upload.sha256))
    row.object_key = upload.object_key
    return registration.add(context, row, {}, Key(key, request_hash("/teachers", body.model_dump())), [upload])


def _check_stored(context: Context, upload: StoredUpload) -> None:
    """`_check_header` of an object: its beginning is read into a file with a hole where the tensors are."""
    with incoming(context.settings) as folder:
        path = Path(folder) / "header"
        length = int.from_bytes(b"".join(context.objects.read(upload.object_key, 0, 8)), "little")
        beginning = min(8 + length, 8 + DEFAULT_LIMITS.header_bytes, upload.size_bytes)
        with path.open("wb") as file:
            for chunk in context.objects.read(upload.object_key, 0, beginning):
                file.write(chunk)
            file.truncate(upload.size_bytes)
        _check_header(path, "/upload")


def _copy(context: Context, artifact: Artifact) -> TemporaryDirectory[str]:
    """A folder for the teacher's own copy: deleting the job must not take the teacher's weights along."""
    if not artifact.name.endswith(MODEL_SUFFIXES):
        raise invalid("/artifact/name", f"{artifact.name!r} holds no weights.", "Name the job's student.safetensors.")
    return incoming(context.settings)


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
    _check_header(file.path, "/file")
    row = _row(tenant, name, architecture, labels, file.size_bytes, file.sha256)
    return registration.add(context, row, {row.object_key: file}, key)


def _row(
    tenant: str, name: str, architecture: Architecture, labels: dict[str, str], size_bytes: int, sha256: str
) -> Teacher:
    teacher_id = new_id("tch")
    return Teacher(
        id=teacher_id,
        tenant_id=tenant,
        name=name,
        status="inspecting",
        architecture=architecture.model_dump(mode="json"),
        object_key=f"teachers/{teacher_id}/weights.safetensors",
        size_bytes=size_bytes,
        sha256=sha256,
        labels=labels,
    )


def _check_header(path: Path, pointer: str) -> None:
    """Refuse what is no safetensors file before a worker has to."""
    try:
        read_header(path)
    except InvalidTeacher as error:
        raise invalid(pointer, error.message, error.remedy, error.code, **error.details) from error


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
