"""What /teachers does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from api.errors.problems import Conflict
from api.http.files import still_there
from api.http.forms import form_fields, invalid, only, parsed
from api.http.idempotency import request_hash
from api.http.uploads import ReceivedFile, Upload, incoming
from api.resources.teachers import sending
from api.resources.teachers.schemas import (
    TeacherForm,
    TeacherFromArtifact,
    TeacherFromHub,
    TeacherFromUpload,
    TeacherFromUploads,
    TeacherOut,
    TeacherSource,
)
from api.services import architectures
from api.services.registration import Key
from api.state.context import Context
from distill.errors import UnknownName
from distill.types import Architecture, TeacherPreprocessing
from store.objects.base import fetch
from store.repositories import jobs
from store.standing import standing
from store.tables import Artifact, Job, Teacher

JSON_FIELDS = frozenset({"options", "labels", "preprocessing"})
"""What a run writes: a file of weights, or a language model's folder."""


def register(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    """Store a teacher for inspection; its id, and whether an earlier request with this key had made it."""
    if upload.json is None:
        return _from_form(context, tenant, upload, key)
    given = upload.json if isinstance(upload.json, dict) else {}
    if not {"upload", "uploads", "huggingface"} & given.keys():
        return _from_artifact(context, tenant, parsed(TeacherFromArtifact, upload.json), key)
    if "huggingface" in given:
        reference = parsed(TeacherFromHub, given)
        wanted = _architecture(context, Architecture(name=reference.architecture, options=reference.options))
        return sending.from_hub(context, tenant, reference, wanted, key)
    body = parsed(TeacherFromUploads, given) if "uploads" in given else parsed(TeacherFromUpload, given)
    architecture = _architecture(context, Architecture(name=body.architecture, options=body.options))
    return sending.from_uploads(context, tenant, body, architecture, key)


def _from_form(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    only(upload, frozenset({"file"}))
    form, files = parsed(TeacherForm, form_fields(upload, JSON_FIELDS)), upload.all("file")
    if not files:
        raise invalid("/file", "The form has no file.", "Send the checkpoint as the form's file field `file`.")
    architecture = _architecture(context, Architecture(name=form.architecture, options=form.options))
    sent = [file.sha256 if len(files) == 1 else f"{file.filename} {file.sha256}" for file in files]
    hashed = request_hash("/teachers", [form.model_dump(exclude_none=True), sent])
    return sending.from_form(context, tenant, form, architecture, files, Key(key, hashed))


def _from_artifact(context: Context, tenant: str, body: TeacherFromArtifact, key: str | None) -> tuple[str, bool]:

    def look() -> tuple[Job, Artifact]:
        with context.database.read() as session:
            return _source(session, tenant, body)

    job, artifact = look()
    name = body.name or job.name or f"{job.student['name']} of {job.id}"[-200:]
    form = TeacherForm(architecture=job.student["name"], name=name, labels=body.labels)
    hashed = request_hash("/teachers", body.model_dump())
    architecture = Architecture.model_validate(job.student)
    with _copy(context, artifact) as folder:
        file = ReceivedFile(Path(folder) / "weights", artifact.name, artifact.size_bytes, artifact.sha256)
        with still_there(look):
            fetch(context.objects, artifact.object_key, file.path)
        return sending.from_form(context, tenant, form, architecture, [file], Key(key, hashed))


def _copy(context: Context, artifact: Artifact) -> TemporaryDirectory[str]:
    """A folder for the teacher's own copy: deleting the job must not take the teacher's weights along."""
    if not artifact.name.endswith(".safetensors") and artifact.name not in jobs.STUDENTS:
        raise invalid("/artifact/name", f"{artifact.name!r} holds no weights.", "Name the job's student.")
    return incoming(context.settings)


def _source(session: Session, tenant: str, body: TeacherFromArtifact) -> tuple[Job, Artifact]:
    job = jobs.get(session, tenant, body.artifact.job_id)
    if job is None:
        raise invalid("/artifact/job_id", f"There is no job {body.artifact.job_id!r}.", "GET /jobs lists them.")
    if job.status != "succeeded":
        detail = f"Job {job.id} {standing(job.status)}; only a job that succeeded has a student."
        raise Conflict(detail, "Wait until it has succeeded.", code="job_not_succeeded")
    name = body.artifact.name
    artifact = jobs.student(session, job.id) if name in jobs.STUDENTS else jobs.artifact(session, job.id, name)
    if artifact is None:
        known = ", ".join(item.name for item in jobs.artifacts(session, job.id))
        raise invalid("/artifact/name", f"Job {job.id} has no file {name!r}.", f"It has: {known}.")
    return job, artifact


def _architecture(context: Context, architecture: Architecture) -> Architecture:
    try:
        with context.database.read() as session:
            return architectures.resolved(session, architecture)
    except UnknownName as error:
        code, details = error.code, error.details
        raise invalid("/architecture", error.message, error.remedy, code, **details) from error


def shown(row: Teacher) -> TeacherOut:
    return TeacherOut(
        id=row.id,
        name=row.name,
        status=row.status,
        architecture=Architecture.model_validate(row.architecture),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        source=_shown_source(row),
        preprocessing=None if row.preprocessing is None else TeacherPreprocessing.model_validate(row.preprocessing),
        report=row.report,
        error=row.error,
        labels=row.labels,
        created_at=row.created_at,
    )


def _shown_source(row: Teacher) -> TeacherSource | None:
    """What was sent, without where it lay."""
    return TeacherSource.model_validate(row.source) if row.source is not None else None
