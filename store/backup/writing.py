"""Make a backup while the service runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, inspect, text

from store.backup.copying import copy, has, sha256_of
from store.backup.manifest import (
    FORMAT,
    OBJECTS,
    TABLES,
    BackupError,
    Manifest,
    StoredObject,
    read_manifest,
    write_manifest,
)
from store.backup.references import references
from store.backup.rows import Line, read_rows, write_lines
from store.database import Database
from store.file_lock import held
from store.objects import FolderStore, ObjectInfo, ObjectMissing, ObjectStore

ROUNDS, PAUSE_SECONDS = 10, 1.0
LOCK = ".lock"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Snapshot:
    """All rows of one transaction, in a file, and the objects that they name by key."""

    path: Path
    revision: str
    rows: dict[str, int]
    named: dict[str, ObjectInfo]


def backup(database: Database, objects: ObjectStore, folder: Path, say: Say = lambda line: None) -> Manifest:
    """Bring `folder` to what the service holds now; what is there already and unchanged is not copied again.

    Rows first, then their objects, which never change under their keys. An object that goes away in between (a
    superseded checkpoint, a deleted job) means that the rows are read once more; one that is still named then is
    lost in the store, and the backup fails. What `folder` held before stays restorable until the new state is whole.
    Raises `BackupError`, `StorageUnavailable`, and the database's errors.
    """
    if not inspect(database.engine).has_table("alembic_version"):
        raise BackupError("The database has no tables of Retort.", "Check RETORT_DATABASE_URL or --data-dir.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with held(folder / LOCK, wait=False):
            _sweep(folder)
            return _write(database, objects, folder, say)
    except BlockingIOError as error:
        raise BackupError("Another backup is being written to this folder.", "Wait for it, or name another.") from error


def _write(database: Database, objects: ObjectStore, folder: Path, say: Say) -> Manifest:
    target = FolderStore(folder / OBJECTS)
    lost, checked = set[str](), set[str]()
    for _ in range(ROUNDS):
        with _snapshot(database, folder) as snapshot:
            gone = _copy_all(objects, target, snapshot, checked, folder)
            if not gone:
                return _finish(folder, target, snapshot, say)
        if gone & lost:
            raise _objects_lost(gone & lost)
        lost = gone
        say(f"{len(gone)} objects were removed meanwhile; reading the rows again.")
        time.sleep(PAUSE_SECONDS)
    raise BackupError("Objects were removed as fast as they were copied.", "Run it at a quieter time.")


def _objects_lost(keys: set[str]) -> BackupError:
    names = ", ".join(sorted(keys)[:5])
    return BackupError(
        f"{len(keys)} objects that rows name are not in the object store: {names}.",
        "Check that the settings name the right bucket or folder; else restore it, or delete what they belong to.",
        {"keys": sorted(keys)},
    )


def _sweep(folder: Path) -> None:
    """What a run that was killed has left: whole copies of the rows, keys among them, or half an object."""
    for pattern in (".tables-*", ".copy-*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


@contextmanager
def _snapshot(database: Database, folder: Path) -> Iterator[Snapshot]:
    """Its file goes with the block, unless it was renamed."""
    named = dict[str, ObjectInfo]()
    path = folder / f".tables-{uuid4().hex}"
    try:
        with _one_view(database) as connection:
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            counts = write_lines(path, _noting(read_rows(connection), named))
        yield Snapshot(path, str(revision), counts, named)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _one_view(database: Database) -> Iterator[Connection]:
    """A transaction that sees one moment, however long it takes, and blocks nobody."""
    sqlite = database.engine.dialect.name == "sqlite"
    options = {"retort_read_only": True} if sqlite else {"isolation_level": "REPEATABLE READ"}
    with database.engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def _noting(lines: Iterator[Line], named: dict[str, ObjectInfo]) -> Iterator[Line]:
    for table, row in lines:
        named.update((info.key, info) for info in references(table, row))
        yield table, row


def _copy_all(
    objects: ObjectStore, target: FolderStore, snapshot: Snapshot, checked: set[str], folder: Path
) -> set[str]:
    """Keys that the store does not have. `checked` are known to be in the backup."""
    gone = set[str]()
    for key, info in snapshot.named.items():
        if key in checked:
            continue
        try:
            if not has(target, info):
                copy(objects, target, info, folder)
            checked.add(key)
        except ObjectMissing:
            gone.add(key)
    return gone


def _finish(folder: Path, target: FolderStore, snapshot: Snapshot, say: Say) -> Manifest:
    digest = sha256_of(snapshot.path)
    name = f"tables-{digest[:16]}.jsonl.gz"
    snapshot.path.replace(folder / name)
    kept = [StoredObject(key=i.key, size_bytes=i.size_bytes, sha256=i.sha256) for i in snapshot.named.values()]
    manifest = Manifest(
        format=FORMAT, created_at=datetime.now(UTC).isoformat(timespec="seconds"), revision=snapshot.revision,
        rows=snapshot.rows, tables_file=name, tables_sha256=digest, objects=kept,
    )  # fmt: skip
    write_manifest(folder, manifest)
    _remove_old(folder, target, read_manifest(folder))
    say(f"{sum(manifest.rows.values())} rows, {len(kept)} objects, {manifest.size_bytes / 1e6:.1f} MB in {folder}")
    return manifest


def _remove_old(folder: Path, target: FolderStore, manifest: Manifest) -> None:
    """What an earlier state of this folder held and this one does not."""
    for path in folder.iterdir():
        if TABLES.fullmatch(path.name) and path.name != manifest.tables_file:
            path.unlink()
    for key in set(target.keys("")) - {item.key for item in manifest.objects}:
        target.delete(key)
