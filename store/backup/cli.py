"""`retort backup` and `retort restore`: the service's own data, by the settings of its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from store.backup import BackupError, Manifest
from store.backup.staging import staging
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable, open_store
from store.settings import Settings, read_settings

STREAM = "-"
DATABASE = "retort.db"  # as in Settings.resolved_database_url
_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of an embedded service's data."
)


@click.command()
@click.argument("to")
@_data_dir
def backup(to: str, data_dir: Path | None) -> None:
    """Write all rows and objects to the folder TO, or with - to standard output as a tar.

    Without the service's own keys (docs/publishing.md). The service may run. A folder that holds an earlier backup is
    brought up to date: only new objects are copied.
    """
    from store.backup.stream import pack
    from store.backup.writing import backup as write

    settings = _settings(data_dir)
    if not settings.database_url and not (settings.data_dir / DATABASE).is_file():
        raise click.ClickException(f"There is no database in {settings.data_dir.absolute()}. Name it with --data-dir.")
    with _folder(to, settings) as folder:
        _run(settings, lambda database, objects: write(database, objects, folder, _say))
        _say("The keys that sign manifests and seal secrets are not in it: keep copies of them elsewhere.")
        if to == STREAM:
            _streamed(lambda: pack(folder, sys.stdout.buffer))


@click.command()
@click.argument("source", metavar="FROM")
@click.option("--check", is_flag=True, help="Only read the backup and compare every digest.")
@_data_dir
def restore(source: str, check: bool, data_dir: Path | None) -> None:
    """Fill a new, empty service from the folder FROM, or with - from a tar on standard input.

    Stop API and workers first and start them afterwards. A database that holds data is refused and left as it is.
    """
    from store.backup.restoring import check as read
    from store.backup.restoring import restore as fill
    from store.backup.stream import unpack

    settings = _settings(data_dir)
    with _folder(source, settings) as folder:
        if source == STREAM:
            _explained(lambda: unpack(sys.stdin.buffer, folder))
        if check:
            manifest = _explained(lambda: read(folder))
            _say(f"whole: {sum(manifest.rows.values())} rows, {len(manifest.objects)} objects, {manifest.created_at}")
        else:
            _run(settings, lambda database, objects: fill(database, objects, folder, _say))


def _settings(data_dir: Path | None) -> Settings:
    return read_settings() if data_dir is None else read_settings(data_dir=data_dir)


@contextmanager
def _folder(name: str, settings: Settings) -> Iterator[Path]:
    """The folder itself, or one for as long as the stream takes."""
    if name != STREAM:
        yield Path(name)
        return
    with staging(settings.data_dir) as folder:
        yield folder


def _streamed(write: Callable[[], None]) -> None:
    """What is still buffered when writing ends early goes nowhere: else leaving would wait for a reader that stands
    still."""
    try:
        write()
    except BaseException:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise


def _run(settings: Settings, action: Callable[[Database, ObjectStore], Manifest]) -> None:
    database = Database(settings.resolved_database_url)
    try:
        _explained(lambda: action(database, open_store(settings)))
    finally:
        database.close()


def _explained(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except BackupError as error:
        raise click.ClickException(f"{error.message} {error.remedy}") from error
    except (SQLAlchemyError, StorageUnavailable, OSError) as error:
        raise click.ClickException(str(error).partition("\n")[0]) from error


def _say(line: str) -> None:
    click.echo(line, err=True)
