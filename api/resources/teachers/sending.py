"""Files that a client sends as a teacher: one safetensors file is taken as it is; a `torch.save` file, an archive and
shards with their index are kept as they came until a worker has converted them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.http.forms import invalid
from api.http.idempotency import request_hash
from api.http.uploads import ReceivedFile, incoming
from api.resources.teachers.schemas import TeacherForm, TeacherFromHub, TeacherFromUpload, TeacherFromUploads
from api.services import registration
from api.services.registration import Key
from api.state.context import Context
from distill import tasks
from distill.container import HEAD_BYTES, container
from distill.errors import InvalidTeacher
from distill.safetensors_header import DEFAULT_LIMITS, read_header
from distill.types import Architecture
from store import hub
from store.egress import UrlRefused
from store.ids import new_id
from store.sources import FILENAME, SourceFile, digest, to_json
from store.tables import Teacher
from store.tables import Upload as StoredUpload


def from_form(
    context: Context, tenant: str, form: TeacherForm, architecture: Architecture, files: list[ReceivedFile], key: Key
) -> tuple[str, bool]:
    """Store what a multipart body brought; the teacher's id, and whether an earlier request had made it."""
    _check_names([file.filename for file in files], "/file")
    convert = len(files) > 1 or _must_be_converted(_head(files[0].path))
    _check_container(architecture, convert, "/file")
    if not convert:
        check_header(files[0].path, "/file")
    teacher_id = new_id("tch")
    sources = [
        SourceFile(file.filename, f"teachers/{teacher_id}/source/{number}", file.size_bytes, file.sha256)
        for number, file in enumerate(files)
    ]
    row = _row(teacher_id, tenant, form.name, architecture, form.labels, sources, convert)
    row.preprocessing = _told(form, architecture)
    keys = [source.object_key for source in sources] if convert else [row.object_key]
    return registration.add(context, row, dict(zip(keys, files, strict=True)), key)


def from_uploads(
    context: Context,
    tenant: str,
    body: TeacherFromUpload | TeacherFromUploads,
    architecture: Architecture,
    key: str | None,
) -> tuple[str, bool]:
    """The same for uploads that are complete: their objects become the teacher's, nothing is copied."""
    given = {"/upload": body.upload} if isinstance(body, TeacherFromUpload) else {}
    if isinstance(body, TeacherFromUploads):
        given = {f"/uploads/{at}": each for at, each in enumerate(body.uploads)}
    with context.database.read() as session:
        found = [registration.find_upload(session, tenant, each, "teacher", at) for at, each in given.items()]
    _check_names([upload.filename for upload in found], "/uploads")
    convert = len(found) > 1 or _must_be_converted(_stored_head(context, found[0]))
    if found[0].status == "complete":
        _check_container(architecture, convert, next(iter(given)))
    if not convert and found[0].status == "complete":
        _check_stored(context, found[0], next(iter(given)))
    sources = [SourceFile(each.filename, each.object_key, each.size_bytes, str(each.sha256)) for each in found]
    row = _row(new_id("tch"), tenant, body.name, architecture, body.labels, sources, convert)
    row.preprocessing = _told(body, architecture)
    if not convert:
        row.object_key = found[0].object_key
    return registration.add(
        context, row, {}, Key(key, request_hash("/teachers", body.model_dump(exclude_none=True))), found
    )


def from_hub(
    context: Context, tenant: str, body: TeacherFromHub, architecture: Architecture, key: str | None
) -> tuple[str, bool]:
    """The same for a repository of the hub, which a worker fetches. Raises `Unprocessable` where it may not."""
    try:
        hub.check_allowed(context.settings)
    except UrlRefused as error:
        raise invalid("/huggingface", error.message, error.remedy, error.code, **error.details) from error
    row = _row(new_id("tch"), tenant, body.name or body.huggingface.repo_id, architecture, body.labels, [], True)
    row.preprocessing = _told(body, architecture)
    row.sha256, row.source = "", to_json([], huggingface=body.huggingface.model_dump())
    return registration.add(context, row, {}, Key(key, request_hash("/teachers", body.model_dump(exclude_none=True))))


def _row(
    teacher_id: str,
    tenant: str,
    name: str,
    architecture: Architecture,
    labels: dict[str, str],
    sources: Sequence[SourceFile],
    convert: bool,
) -> Teacher:
    return Teacher(
        id=teacher_id,
        tenant_id=tenant,
        name=name or sources[0].filename,
        status="inspecting",
        architecture=architecture.model_dump(mode="json"),
        object_key=f"teachers/{teacher_id}/weights.{'zip' if _folder(architecture) else 'safetensors'}",
        size_bytes=sum(source.size_bytes for source in sources),
        sha256=digest(sources),
        source=to_json(sources) if convert else None,
        labels=labels,
    )


def _told(given: TeacherForm, architecture: Architecture) -> dict[str, Any] | None:
    """How it sees pictures, as a row keeps it. Raises `Unprocessable` for a network of something else."""
    told = given.preprocessing
    if told is None or not told.told():
        return None
    if not any(tasks.spec(name).modality == "images" for name in tasks.accepting(architecture.name)):
        message = f"{architecture.name} sees no pictures, so there is no mean or std of them."
        raise invalid("/preprocessing", message, "Leave preprocessing out.", "invalid_teacher")
    return told.told()


def _folder(architecture: Architecture) -> bool:
    """Whether the teacher is kept as a model folder in a zip."""
    return tasks.container(architecture.name) == "folder"


def _check_container(architecture: Architecture, folder: bool, pointer: str) -> None:
    """A model folder is more than its weights."""
    if _folder(architecture) and not folder:
        spec = tasks.spec(tasks.accepting(architecture.name)[0])
        message = f"A teacher of {architecture.name} is its configuration and more, not one file of weights."
        remedy = f"Send {spec.teacher_files}; in a form each as a file field `file`."
        raise invalid(pointer, message, remedy, "invalid_teacher")


def _check_names(names: Sequence[str], pointer: str) -> None:
    """Shards and their index refer to each other by name. One file's name is only shown."""
    if len(names) == 1:
        return
    remedy = "Send the shards and their index under the names that the index uses."
    for name, count in Counter(names).items():
        if count > 1 or not FILENAME.fullmatch(name):
            why = "comes twice" if count > 1 else "is no plain name of a file"
            raise invalid(pointer, f"{name!r} {why}.", remedy, "invalid_teacher")


def _must_be_converted(head: bytes) -> bool:
    return container(head) not in {None, "safetensors"}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _stored_head(context: Context, upload: StoredUpload) -> bytes:
    if upload.status != "complete":  # used: by an earlier request with this key, or it is refused below
        return b""
    return b"".join(context.objects.read(upload.object_key, 0, min(HEAD_BYTES, upload.size_bytes)))


def _check_stored(context: Context, upload: StoredUpload, pointer: str) -> None:
    """`check_header` of an object: its beginning is read into a file with a hole where the tensors are."""
    with incoming(context.settings) as folder:
        path = Path(folder) / "header"
        length = int.from_bytes(b"".join(context.objects.read(upload.object_key, 0, 8)), "little")
        beginning = min(8 + length, 8 + DEFAULT_LIMITS.header_bytes, upload.size_bytes)
        with path.open("wb") as file:
            for chunk in context.objects.read(upload.object_key, 0, beginning):
                file.write(chunk)
            file.truncate(upload.size_bytes)
        check_header(path, pointer)


def check_header(path: Path, pointer: str) -> None:
    """Refuse what is no safetensors file before a worker has to."""
    try:
        read_header(path)
    except InvalidTeacher as error:
        raise invalid(pointer, error.message, error.remedy, error.code, **error.details) from error
