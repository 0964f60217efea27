"""Files that a dataset names by URL become objects of ours, so that every job runs on the bytes that were inspected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.errors import InvalidDataset
from store import references
from store.database import Database
from store.dataset_digest import dataset_digest
from store.formats import KINDS, Format, detect, head_of, why_not
from store.objects import ObjectStore
from store.repositories import resources
from store.settings import Settings
from store.tables import Dataset
from worker.transfer.references import Download
from worker.transfer.room import Room, room_of
from worker.transfer.storing import put

Check = Callable[[], None]


def adopt(
    settings: Settings, database: Database, objects: ObjectStore, row: Dataset, folder: Path, check: Check
) -> None:
    """Fetch, store and write into the row what is still named by URL; nothing to do where all files are ours.

    Everything that may be refused is, before the first file is stored. Raises `InvalidDataset` (another sha256 than
    promised, no format that we read), `QuotaExceeded`, `UrlRefused`, `ReferenceUnavailable`, `StorageDown`,
    `LeaseLost`, and what `check` raises.
    """
    missing = {role: file for role, file in row.files.items() if "object_key" not in file}
    if not missing:
        return
    fetched: dict[str, Any] = {}
    room = room_of(settings, database, row.tenant_id)
    for role, file in missing.items():
        fetched[role] = _fetch(settings, file, folder / f"fetched-{role}", check, room)
        room = room.less(fetched[role]["size_bytes"])
    room_of(settings, database, row.tenant_id).check(room.coming)
    files = {role: file | fetched.get(role, {}) for role, file in row.files.items()}
    kind = _kind(files)
    for role in fetched:
        path, key = folder / f"fetched-{role}", references.object_key(row.id, role)
        put(objects, key, path, key, check)
        files[role]["object_key"] = key
        path.unlink()
    _write(database, row, files, kind)


def _fetch(settings: Settings, file: dict[str, Any], path: Path, check: Check, room: Room) -> dict[str, Any]:
    info = Download(settings, references.parse(settings, file["url"]), path, check, room).run()
    promised = file.get("expected_sha256")
    if promised and promised != info.sha256:
        raise InvalidDataset(
            f"{file['url']} has the sha256 {info.sha256}, not {promised}.",
            "Give the digest of the file as it is now, or a URL whose content does not change.",
            {"url": file["url"], "sha256": info.sha256, "expected_sha256": promised},
        )
    found = detect(path)
    if found is None:
        what, remedy = why_not(head_of(path))
        raise InvalidDataset(f"What {file['url']} serves {what}.", remedy)
    return {"size_bytes": info.size_bytes, "sha256": info.sha256, "format": found}


def _kind(files: dict[str, Any]) -> str:
    formats: set[Format] = {file["format"] for file in files.values()}
    kinds = {KINDS[found] for found in formats}
    if len(kinds) > 1:
        raise InvalidDataset(
            "The files are of different kinds.", "Name files of one kind.", {"formats": sorted(formats)}
        )
    return kinds.pop()


def _write(database: Database, row: Dataset, files: dict[str, Any], kind: str) -> None:
    values: dict[str, Any] = {
        "files": files,
        "kind": kind,
        "size_bytes": sum(file["size_bytes"] for file in files.values()),
        "digest": dataset_digest(files, row.pixel_range, row.box_format),
    }
    with database.write() as session:
        resources.amend(session, row, **values)
    for name, value in values.items():
        setattr(row, name, value)
