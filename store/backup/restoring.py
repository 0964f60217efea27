"""Check a backup, and bring it into an empty service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import func, inspect, select

from store.backup.copying import copy, has, sha256_of
from store.backup.manifest import OBJECTS, BackupError, Manifest, read_manifest
from store.backup.rows import load, read_lines, reflect
from store.database import Database, alembic_config
from store.objects import FolderStore, ObjectStore

Say = Callable[[str], None]
#: What a service that was just started has by itself.
MADE_AT_START = frozenset({"alembic_version", "tenants", "api_keys", "workers", "catalogue_entries", "tallies"})


def check(folder: Path) -> Manifest:
    """Read every byte of the backup; its manifest. Raises `BackupError` that names all that is damaged."""
    manifest = read_manifest(folder)
    files = FolderStore(folder / OBJECTS)
    damaged = [item.key for item in manifest.objects if not has(files, item.info())]
    tables = folder / manifest.tables_file
    if not tables.is_file() or sha256_of(tables) != manifest.tables_sha256:
        damaged.append(manifest.tables_file)
    if damaged:
        names = ", ".join(damaged[:5])
        details = {"damaged": damaged}
        raise BackupError(f"{len(damaged)} files are missing or damaged: {names}.", "Use another backup.", details)
    return manifest


def restore(database: Database, objects: ObjectStore, folder: Path, say: Say = lambda line: None) -> Manifest:
    """Fill an empty service from `folder`, and bring it to today's tables.

    Everything is checked before anything is written; objects come before the rows that name them, and all rows are
    one transaction, so that a restore that breaks off can be run again. Jobs that ran when the backup was made go on
    from the checkpoint that it holds, once their old lease is over.
    Raises `BackupError`, `StorageUnavailable`, and the database's errors.
    """
    manifest = check(folder)
    _require_empty(database)
    files = FolderStore(folder / OBJECTS)
    for item in manifest.objects:
        if not has(objects, item.info()):
            copy(files, objects, item.info(), folder)
    say(f"{len(manifest.objects)} objects, {manifest.size_bytes / 1e6:.1f} MB, are stored and verified")
    _bring_to(database, manifest.revision)
    with database.engine.begin() as connection:
        counts = load(connection, read_lines(folder / manifest.tables_file))
        if counts != manifest.rows:
            raise BackupError(f"The rows are {counts}, the manifest says {manifest.rows}.", "Use another backup.")
    database.migrate()
    say(f"{sum(counts.values())} rows are there, with the tables of this version")
    return manifest


def _require_empty(database: Database) -> None:
    """A restore never overwrites: who wants that removes the old data first."""
    if not inspect(database.engine).get_table_names():
        return
    with database.engine.connect() as connection:
        tables = [table for table in reflect(connection).tables.values() if table.name not in MADE_AT_START]
        full = [table.name for table in tables if connection.scalar(select(func.count()).select_from(table))]
    if full:
        raise BackupError(
            f"The database holds data already ({', '.join(sorted(full)[:5])}).",
            "Restore into a new database, or remove the old data first; nothing was changed.",
        )


def _bring_to(database: Database, revision: str) -> None:
    """Empty tables of that revision."""
    try:
        if inspect(database.engine).has_table("alembic_version"):
            command.downgrade(alembic_config(database.url), "base")
        database.migrate(revision)
    except CommandError as error:
        raise BackupError(
            f"This Retort does not know the tables of the backup (revision {revision}).", "Use a newer Retort."
        ) from error
