"""Files that a dataset names by URL become objects of ours, so that every job runs on the bytes that were inspected."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.errors import InvalidDataset
from store import references
from store.database import Database
from store.formats import KINDS, KNOWN, Format, detect
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import quotas, resources
from store.settings import Settings
from store.tables import Dataset
from worker.errors import StorageDown
from worker.references import Download
from worker.watched import watched

Check = Callable[[], None]


def adopt(
    settings: Settings, database: Database, objects: ObjectStore, row: Dataset, folder: Path, check: Check
) -> None:
    """Fetch, store and write into the row what is still named by URL; nothing to do where all files are ours.

    Raises `InvalidDataset` (another sha256 than promised, no format that we read, too large for the tenant's quota),
    `UrlRefused`, `ReferenceUnavailable`, `StorageDown`, `LeaseLost`, and what `check` raises.
    """
    missing = {role: file for role, file in row.files.items() if "object_key" not in file}
    if not missing:
        return
    fetched: dict[str, Any] = {}
    for role, file in missing.items():
        path = folder / f"fetched-{role}"
        fetched[role] = _fetch(settings, file, path, check)
        _check_quota(settings, database, row, sum(each["size_bytes"] for each in fetched.values()))
        fetched[role] |= {"object_key": _stored(objects, references.object_key(row.id, role), path, check)}
        path.unlink()
    _write(database, row, {role: file | fetched.get(role, {}) for role, file in row.files.items()})


def _fetch(settings: Settings, file: dict[str, Any], path: Path, check: Check) -> dict[str, Any]:
    info = Download(settings, references.parse(settings, file["url"]), path, check).run()
    promised = file.get("expected_sha256")
    if promised and promised != info.sha256:
        raise InvalidDataset(
            f"{file['url']} has the sha256 {info.sha256}, not {promised}.",
            "Give the digest of the file as it is now, or a URL whose content does not change.",
            {"url": file["url"], "sha256": info.sha256, "expected_sha256": promised},
        )
    found = detect(path)
    if found is None:
        raise InvalidDataset(f"What {file['url']} serves is not {KNOWN}.", "Name a file of one of these kinds.")
    return {"size_bytes": info.size_bytes, "sha256": info.sha256, "format": found}


def _check_quota(settings: Settings, database: Database, row: Dataset, more: int) -> None:
    with database.read() as session:
        most = quotas.of(session, settings, row.tenant_id).stored_bytes
        used = quotas.stored_bytes(session, row.tenant_id) if most else 0
    if most and used + more > most:
        raise InvalidDataset(
            f"You keep {used} bytes and may keep {most}; this dataset would add {more}.",
            "Delete jobs, teachers, datasets or uploads that you no longer need.",
            {"quota": "stored_bytes", "limit": most, "used": used, "wanted": more},
        )


def _stored(objects: ObjectStore, key: str, path: Path, check: Check) -> str:
    try:
        watched(lambda: objects.put(key, path), check)
    except StorageUnavailable as error:
        raise StorageDown(f"The object store did not take {key}: {error}") from error
    return key


def _write(database: Database, row: Dataset, files: dict[str, Any]) -> None:
    formats: set[Format] = {file["format"] for file in files.values()}
    kinds = {KINDS[found] for found in formats}
    if len(kinds) > 1:
        raise InvalidDataset(
            "The files are of different kinds.", "Name files of one kind.", {"formats": sorted(formats)}
        )
    lines = "".join(f"{role} {files[role]['sha256']}\n" for role in sorted(files))
    values: dict[str, Any] = {
        "files": files,
        "kind": kinds.pop(),
        "size_bytes": sum(file["size_bytes"] for file in files.values()),
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
    }
    with database.write() as session:
        resources.amend(session, row, **values)
    for name, value in values.items():
        setattr(row, name, value)
