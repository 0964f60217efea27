"""What /datasets does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from difflib import get_close_matches

from sqlalchemy import select
from sqlalchemy.orm import Session

from api import registration
from api.architectures import no_catalogue
from api.context import Context
from api.forms import form_fields, invalid, only, parsed
from api.idempotency import request_hash
from api.registration import Key
from api.resources.datasets.detection import KINDS, Format, detect
from api.resources.datasets.schemas import DatasetForm, DatasetOut, NamedDataset
from api.uploads import ReceivedFile, Upload
from store.ids import new_id
from store.repositories import system
from store.tables import Dataset

KIND = "dataset"
ROLES = frozenset({"file", "train", "test"})


def register(context: Context, tenant: str, upload: Upload, key: str | None) -> tuple[str, bool]:
    """Store a dataset for inspection; its id, and whether an earlier request with this key had made it."""
    if upload.json is not None:
        body = parsed(NamedDataset, upload.json)
        return register_named(context, tenant, body, Key(key, request_hash("/datasets", body.model_dump())))
    form = parsed(DatasetForm, form_fields(upload, frozenset({"labels"})))
    only(upload.files, ROLES)
    files = _by_role(upload.files)
    formats = {role: _format(role, file) for role, file in files.items()}
    if len({KINDS[found] for found in formats.values()}) > 1:
        raise invalid("/test", "train and test are of different kinds.", "Send two archives or two parquet files.")
    hashed = request_hash("/datasets", [form.model_dump(), {role: file.sha256 for role, file in files.items()}])
    name = form.name or next(iter(files.values())).filename
    row = _row(tenant, name, KINDS[next(iter(formats.values()))], form.labels)
    return registration.add(context, row, _describe(row, files, formats), Key(key, hashed))


def register_named(context: Context, tenant: str, body: NamedDataset, key: Key) -> tuple[str, bool]:
    """A data set by name: nothing to store."""
    with context.database.read() as session:
        check_named(session, body.named, "/named")
    row = _row(tenant, body.named, "named", body.labels)
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


def _row(tenant: str, name: str, kind: str, labels: dict[str, str]) -> Dataset:
    return Dataset(
        id=new_id("dst"), tenant_id=tenant, name=name, kind=kind, status="inspecting", files={}, labels=labels
    )


def _by_role(files: Mapping[str, ReceivedFile]) -> dict[str, ReceivedFile]:
    if "file" in files and len(files) > 1:
        raise invalid("/file", "`file` comes with `train` or `test`.", "Send either `file`, or `train` and `test`.")
    if "file" not in files and "train" not in files:
        raise invalid("/file", "The form has no file.", "Send `file`, or `train` and `test`, as file fields.")
    return {"all" if name == "file" else name: file for name, file in files.items()}


def _format(role: str, file: ReceivedFile) -> Format:
    found = detect(file.path)
    if found is None:
        pointer = "/file" if role == "all" else f"/{role}"
        message = f"{file.filename or 'The file'} is neither zip, tar nor parquet."
        raise invalid(pointer, message, "Send an ImageFolder as zip or tar, or an image parquet.", "invalid_dataset")
    return found


def _describe(
    row: Dataset, files: Mapping[str, ReceivedFile], formats: Mapping[str, Format]
) -> dict[str, ReceivedFile]:
    """Fill in the row's files; what to store under which key."""
    by_key: dict[str, ReceivedFile] = {}
    for role, file in files.items():
        object_key = f"datasets/{row.id}/{role}.{formats[role]}"
        facts = {"size_bytes": file.size_bytes, "sha256": file.sha256, "filename": file.filename}
        row.files[role] = {"object_key": object_key} | facts
        by_key[object_key] = file
    row.size_bytes = sum(file.size_bytes for file in files.values())
    lines = "".join(f"{role} {files[role].sha256}\n" for role in sorted(files))
    row.digest = hashlib.sha256(lines.encode()).hexdigest()
    return by_key


def shown(row: Dataset) -> DatasetOut:
    files = {role: {k: v for k, v in file.items() if k != "object_key"} for role, file in row.files.items()}
    return DatasetOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        status=row.status,
        files=files,
        size_bytes=row.size_bytes,
        digest=row.digest,
        report=row.report,
        error=row.error,
        labels=row.labels,
        created_at=row.created_at,
    )
