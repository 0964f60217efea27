"""What /datasets does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence, Set
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound
from api.http.files import StoredFile
from api.http.forms import form_fields, invalid, only, parsed
from api.http.idempotency import request_hash
from api.http.uploads import ReceivedFile, Upload
from api.resources.datasets import looking, several
from api.resources.datasets.schemas import (
    DatasetForm,
    DatasetFromReferences,
    DatasetFromShards,
    DatasetFromUploads,
    DatasetOut,
    NamedDataset,
    Reading,
    Sample,
    StreamedShards,
    Thumbnails,
)
from api.services import registration
from api.services.architectures import no_catalogue
from api.services.registration import Key
from api.state.context import Context
from api.state.deps import Work
from distill import tasks
from distill.errors import InvalidDataset, UnknownName
from store import references, shard_references
from store.dataset_digest import dataset_digest
from store.egress import UrlRefused
from store.formats import KINDS, Format, detect, head_of, why_not
from store.ids import new_id
from store.repositories import resources, system
from store.tables import Dataset
from store.tables import Upload as StoredUpload
from store.thumbnails import MEDIA_TYPE, object_key

T = TypeVar("T")
Body = DatasetForm | DatasetFromUploads | DatasetFromReferences | DatasetFromShards | NamedDataset
KIND = "dataset"
REFERENCES = {
    "reference": "reference", "train_reference": "train", "test_reference": "test",
    "unlabelled_reference": "unlabelled",
}  # fmt: skip
SHARDS = {"shards": "shards", "train_shards": "train", "test_shards": "test"}
ROLES = frozenset({"file", "train", "test", "unlabelled"})


def register(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    """Store a dataset for inspection; its id, and whether an earlier request with this key had made it."""
    if isinstance(upload.json, dict) and isinstance(task := upload.json.get("task"), str):
        _check_task(task)
    if isinstance(upload.json, dict) and "mode" in upload.json:
        return _from_shards(context, tenant, parsed(DatasetFromShards, upload.json), key)
    if isinstance(upload.json, dict) and not REFERENCES.keys().isdisjoint(upload.json):
        return _from_references(context, tenant, parsed(DatasetFromReferences, upload.json), key)
    if isinstance(upload.json, dict) and not {"upload", "train", "test", "unlabelled"}.isdisjoint(upload.json):
        return _from_uploads(context, tenant, parsed(DatasetFromUploads, upload.json), key)
    if upload.json is not None:
        body = parsed(NamedDataset, upload.json)
        return register_named(context, tenant, body, Key(key, request_hash("/datasets", body.model_dump())))
    form = parsed(DatasetForm, form_fields(upload, frozenset({"labels", "pixel_range", "classes"})))
    _check_task(form.task)
    only(upload, ROLES)
    if upload.more or form.classes is not None or form.classes_from:
        return _from_several(
            context, tenant, form, _by_role({role: upload.all(role) for role in upload.files}, "file"), key
        )
    files = _by_role(upload.files, "file")
    formats = {}
    for role, file in files.items():
        formats[role] = _known(role, "file", file, detect(file.path), partial(head_of, file.path))
    kind = _kind(formats)
    hashed = request_hash("/datasets", [form.model_dump(), {role: file.sha256 for role, file in files.items()}])
    name = form.name or next(iter(files.values())).filename
    row = _row(tenant, name, kind, form)
    return registration.add(context, row, _describe(row, files, formats), Key(key, hashed))


def _from_several(
    context: Context, tenant: str, form: DatasetForm, given: Mapping[str, Sequence[ReceivedFile]], key: str | None
) -> tuple[str, bool]:
    told = _told(form, given)
    sent = several.of_form(given, told=told is not None)
    row = _row(tenant, form.name or next(iter(sent.files.values())).filename, sent.kind, form)
    row.shards = told
    hashed = request_hash("/datasets", [form.model_dump(), {name: file.sha256 for name, file in sent.files.items()}])
    stored = _describe(row, sent.files, dict.fromkeys(sent.files, sent.format))
    return registration.add(context, row, stored, Key(key, hashed))


def _from_uploads(context: Context, tenant: str, body: DatasetFromUploads, key: str | None) -> tuple[str, bool]:
    given = {
        role: value for role in ("upload", "train", "test", "unlabelled") if (value := getattr(body, role)) is not None
    }
    hashed = request_hash("/datasets", body.model_dump())
    told = _told(body, given)
    if told or any(isinstance(value, list) for value in given.values()):
        listed = {role: [value] if isinstance(value, str) else value for role, value in given.items()}
        sent = several.of_uploads(context, tenant, _by_role(listed, "upload"), told=told is not None)
        uploads = list(sent.files.values())
        row = _row(tenant, body.name or uploads[0].filename, sent.kind, body)
        row.shards = told
        for role, upload in sent.files.items():
            _add_file(row, role, sent.format, upload.object_key, upload.size_bytes, str(upload.sha256), upload.filename)
        _finish(row)
        return registration.add(context, row, {}, Key(key, hashed), uploads)
    with context.database.read() as session:
        found = {
            role: registration.find_upload(session, tenant, value, "dataset", f"/{role}")
            for role, value in given.items()
        }
    files = _by_role(found, "upload")
    formats = {}
    for role, file in files.items():
        formats[role] = _known(role, "upload", file, looking.form(context, file), partial(looking.head, context, file))
    row = _row(tenant, body.name or next(iter(files.values())).filename, _kind(formats), body)
    for role, file in files.items():
        _add_file(row, role, formats[role], file.object_key, file.size_bytes, str(file.sha256), file.filename)
    _finish(row)
    return registration.add(context, row, {}, Key(key, hashed), list(files.values()))


def _from_references(context: Context, tenant: str, body: DatasetFromReferences, key: str | None) -> tuple[str, bool]:
    given = {name: value for name in REFERENCES if (value := getattr(body, name)) is not None}
    files = _by_role({REFERENCES[name]: value for name, value in given.items()}, "reference")
    row = _row(tenant, body.name, "reference", body)
    for name, value in given.items():
        found = _allowed(context, value.url, f"/{name}/url")
        row.name = row.name or found.filename
        promised = {"expected_sha256": value.sha256} if value.sha256 else {}
        role = next(role for role, file in files.items() if file is value)
        row.files[role] = {"url": value.url, "filename": found.filename} | promised
    hashed = request_hash("/datasets", body.model_dump())
    return registration.add(context, row, {}, Key(key, hashed))


def _from_shards(context: Context, tenant: str, body: DatasetFromShards, key: str | None) -> tuple[str, bool]:
    given = {
        name: [value] if isinstance(value, str) else value
        for name in SHARDS
        if (value := getattr(body, name)) is not None
    }
    roles = _by_role({SHARDS[name]: value for name, value in given.items()}, "shards")
    for name, texts in given.items():
        _check_shards(context, texts, f"/{name}", counted=body.classes_from != "shards")
    _check_classes(body.classes or ())
    row = _row(tenant, body.name or _called(next(iter(given.values()))), shard_references.KIND, body)
    row.shards = {"given": roles, "classes": body.classes, "classes_from": body.classes_from}
    row.shards |= {"decode": body.decode, "inspection": body.inspection}
    return registration.add(context, row, {}, Key(key, request_hash("/datasets", body.model_dump())))


def _told(body: DatasetForm | DatasetFromUploads, roles: Container[str]) -> dict[str, Any] | None:
    """What was told of the classes of tars that are sent, as `Dataset.shards` has it; None: nothing. Raises
    `Unprocessable` for a class that is there twice, and for shards without labels that were to be classes."""
    if body.classes is None and not body.classes_from:
        return None
    _check_classes(body.classes or ())
    if body.classes_from == "shards" and "unlabelled" in roles:
        raise invalid(
            "/classes_from", "Each shard is to be one class, and those that are `unlabelled` have none.",
            "Leave out `unlabelled`; or leave out `classes_from`, and lay the images into folders of their classes.",
        )  # fmt: skip
    return {"given": {}, "classes": body.classes, "classes_from": body.classes_from}


def _check_shards(context: Context, texts: list[str], pointer: str, *, counted: bool) -> None:
    try:
        shard_references.check(context.settings, texts, counted=counted)
    except (UrlRefused, InvalidDataset) as error:
        raise invalid(pointer, error.message, error.remedy, error.code, **error.details) from error


def _check_classes(names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise invalid("/classes", f"{twice!r} is there twice.", "Name each class once.", "invalid_dataset", name=twice)


def _called(texts: list[str]) -> str:
    """As the folder of the first shard is; where it has none, as the shard."""
    parts = [part for part in texts[0].partition("://")[2].split("/")[1:] if part]
    return (parts[-2] if len(parts) > 1 else texts[0])[:200]


def _allowed(context: Context, url: str, pointer: str) -> references.Reference:
    try:
        return references.parse(context.settings, url)
    except UrlRefused as error:
        raise invalid(pointer, error.message, error.remedy, error.code, **error.details) from error


def register_named(context: Context, tenant: str, body: NamedDataset, key: Key) -> tuple[str, bool]:
    """A data set by name: nothing to store."""
    with context.database.read() as session:
        check_named(session, body.named, "/named")
    row = _row(tenant, body.named, "named", body)
    return registration.add(context, row, {}, key)


def check_named(session: Session, name: str, pointer: str) -> None:
    """Raise `Unprocessable` unless workers know the named set."""
    if system.in_catalogue(session, KIND, name):
        return
    known = system.catalogue_names(session, KIND)
    if not known:
        raise no_catalogue()
    close = get_close_matches(name, known, n=3)
    remedy = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(known)}."
    message = f"There is no data set named {name!r}."
    raise invalid(pointer, message, remedy, "unknown_name", noun="dataset", name=name, close=close)


def of_name(session: Session, tenant: str, name: str) -> str | None:
    """Id of the tenant's oldest registration of a named set that is not refused."""
    query = select(Dataset.id).where(Dataset.tenant_id == tenant, Dataset.kind == "named", Dataset.name == name)
    return session.scalar(query.where(Dataset.status != "invalid").order_by(Dataset.id).limit(1))


def _row(tenant: str, name: str, kind: str, body: Body) -> Dataset:
    told = None if isinstance(body, NamedDataset | DatasetFromShards) else body
    return Dataset(
        id=new_id("dst"), tenant_id=tenant, name=name, kind=kind, status="inspecting", files={}, labels=body.labels,
        task=body.task, pixel_range=_listed(told.pixel_range) if told else None,
        box_format=told.box_format if told else "",
    )  # fmt: skip


def _listed(between: tuple[int, int] | None) -> list[int] | None:
    """As JSON has it."""
    return None if between is None else list(between)


def _check_task(name: str) -> None:
    """Raise `Unprocessable` for a task that there is not. Whether the files are of it the inspection says."""
    try:
        if name:
            tasks.spec(name)
    except UnknownName as error:
        raise invalid("/task", error.message, error.remedy, error.code, **error.details) from error


def task_of(row: Dataset) -> str:
    """The dataset's task; of a row of an older release by its report. Empty where neither says so."""
    return row.task or tasks.of_report(row.report)


def tasks_of(session: Session, ids: Set[str]) -> dict[str, str]:
    """`task_of` of each, by id. Reports, which may be long, are read where the row does not tell."""
    rows = session.execute(select(Dataset.id, Dataset.task).where(Dataset.id.in_(ids)))
    found = {row.id: row.task for row in rows}
    untold = [id_ for id_, task in found.items() if not task]
    older = session.execute(select(Dataset.id, Dataset.report).where(Dataset.id.in_(untold))) if untold else ()
    return found | {row.id: tasks.of_report(row.report) for row in older}


def _by_role(given: Mapping[str, T], whole: str) -> dict[str, T]:
    """`whole` is what requests call the file that is not split yet."""
    remedy = f"Send `{whole}`, or `train` with or without `test`; `unlabelled` with these, or alone."
    labelled = given.keys() - {"unlabelled"}
    if whole in labelled and len(labelled) > 1:
        raise invalid(f"/{whole}", f"`{whole}` comes with `train` or `test`.", remedy)
    if whole not in labelled and "train" not in labelled and (labelled or not given):
        raise invalid(f"/{whole}", "The request has no file.", remedy)
    return {"all" if name == whole else name: file for name, file in given.items()}


def _known(
    role: str, whole: str, file: ReceivedFile | StoredUpload, found: Format | None, head: Callable[[], bytes]
) -> Format:
    if found is None:
        pointer = f"/{whole}" if role == "all" else f"/{role}"
        what, remedy = why_not(head())
        raise invalid(pointer, f"{file.filename or 'The file'} {what}.", remedy, "invalid_dataset")
    return found


def _kind(formats: Mapping[str, Format]) -> str:
    kinds = {KINDS[found] for found in formats.values()}
    if len(kinds) > 1:
        role = next(role for role in ("test", "unlabelled") if role in formats)
        raise invalid(f"/{role}", f"{' and '.join(formats)} are of different kinds.", "Send all of one kind.")
    return kinds.pop()


def _describe(
    row: Dataset, files: Mapping[str, ReceivedFile], formats: Mapping[str, Format]
) -> dict[str, ReceivedFile]:
    """Fill in the row's files; what to store under which key."""
    by_key: dict[str, ReceivedFile] = {}
    for role, file in files.items():
        object_key = f"datasets/{row.id}/{role}.{formats[role]}"
        _add_file(row, role, formats[role], object_key, file.size_bytes, file.sha256, file.filename)
        by_key[object_key] = file
    _finish(row)
    return by_key


def _add_file(
    row: Dataset, role: str, found: Format, object_key: str, size_bytes: int, sha256: str, filename: str
) -> None:
    facts = {"size_bytes": size_bytes, "sha256": sha256, "filename": filename, "format": found}
    row.files[role] = {"object_key": object_key} | facts


def _finish(row: Dataset) -> None:
    """Size and digest over all files."""
    row.size_bytes = sum(file["size_bytes"] for file in row.files.values())
    row.digest = dataset_digest(row.files, row.pixel_range, row.box_format, row.shards)


def sheet(row: Dataset) -> StoredFile:
    """The dataset's contact sheet. Raises `NotFound` where the inspection made none."""
    layout = (row.report or {}).get("thumbnails")
    if not layout:
        raise NotFound(f"{row.id} has no thumbnails.", "Datasets of images have them once they are inspected.")
    size, sha256 = layout["size_bytes"], layout["sha256"]
    return StoredFile(object_key(row.id), "thumbnails.webp", MEDIA_TYPE, size, sha256, inline=True)


def _thumbnails(row: Dataset) -> Thumbnails | None:
    layout = (row.report or {}).get("thumbnails")
    return Thumbnails(href=f"/datasets/{row.id}/thumbnails", **layout) if layout else None


def inspect_on(work: Work, tenant: str, dataset_id: str) -> Dataset:
    """Have the rest read of a dataset of which a sample was, and all of one that is invalid by the system's fault. One
    that is read already, or is being read, stays as it is. Raises `NotFound`, and `Conflict` where data was refused."""
    row = registration.locked(work.session, Dataset, tenant, dataset_id)
    lost = row.status == "invalid" and (row.error or {}).get("fault") == "system"
    if row.status == "invalid" and not lost:
        raise Conflict(f"The data of {row.id} was refused.", "Register it again.", code="dataset_not_ready")
    if row.status == "sampled" or lost:
        resources.inspect_on(row)
        work.session.flush()
        work.after_commit(lambda: work.context.doorbell.ring("dataset", dataset_id))
    return row


def _reading(row: Dataset) -> Reading | None:
    told = row.reading or {}
    found = {name: told[name] for name in Reading.model_fields if name in told}
    return Reading(**found) if "parts" in found else None


def _sample(row: Dataset) -> Sample | None:
    told = (row.reading or {}).get("sample")
    return None if told is None else Sample(**told)


def shown(row: Dataset) -> DatasetOut:
    files = {role: {k: v for k, v in file.items() if k != "object_key"} for role, file in row.files.items()}
    return DatasetOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        task=task_of(row) or None,
        status=row.status,
        files=files,
        size_bytes=row.size_bytes,
        digest=row.digest,
        mode="stream" if row.streamed else "copy",
        shards=StreamedShards(**row.shards) if row.shards else None,
        sample=_sample(row),
        reading=_reading(row),
        pixel_range=row.pixel_range,
        box_format=row.box_format,
        report=row.report,
        thumbnails=_thumbnails(row),
        error=row.error,
        labels=row.labels,
        created_at=row.created_at,
    )
