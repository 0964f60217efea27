"""`python -m store.prepare`: the one-shot step before API and workers start. Safe to run again, and by several at once.

Brings the database to the newest tables and makes the bucket. With a revision as argument it stops there. With --check
it changes nothing: exit status 0 when the tables are as new as this version (or newer: changes only add), else 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from store.database import AWAY, Database, alembic_config
from store.objects import StorageUnavailable, open_store
from store.sealing_anew import seal_anew
from store.settings import Settings, read_settings

PATIENCE_SECONDS, PAUSE_SECONDS, SAY_SECONDS = 600.0, 2.0, 10.0


def prepare(settings: Settings, revision: str = "head", patience_seconds: float = PATIENCE_SECONDS) -> str:
    """Both steps; the revision that the database has then. Waits `patience_seconds` for each server to answer, and says
    so on standard error every 10 s.

    Raises one of `AWAY` or `StorageUnavailable` when a server does not answer in time, and Alembic's errors.
    """
    database = Database(settings.resolved_database_url)
    try:
        _patiently(database.ping, patience_seconds, "the database")
        database.migrate(revision)
        if revision == "head":
            seal_anew(settings, database)
        _patiently(lambda: open_store(settings).ping(), patience_seconds, "the object store")
        return _revision(database) or "none"
    finally:
        database.close()


def complaint(settings: Settings) -> str | None:
    """Why this version cannot run on the database yet, or None. Raises the database's errors."""
    database = Database(settings.resolved_database_url)
    try:
        found = _revision(database)
    finally:
        database.close()
    script = ScriptDirectory.from_config(alembic_config(database.url))
    head = script.get_current_head()
    if found == head or (found is not None and _unknown(script, found)):
        return None
    return f"The tables are at revision {found}, this version needs {head}: run `python -m store.prepare`."


def _unknown(script: ScriptDirectory, revision: str) -> bool:
    """A later version's."""
    try:
        script.get_revision(revision)
    except CommandError:
        return True
    return False


def _revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _patiently(step: Callable[[], None], seconds: float, server: str) -> None:
    begun = said = time.monotonic()
    while True:
        try:
            return step()
        except (*AWAY, StorageUnavailable) as error:
            now = time.monotonic()
            if now > begun + seconds:
                raise
            if now >= said:
                said = now + SAY_SECONDS
                why = str(error).partition("\n")[0]
                sys.stderr.write(f"Waiting for {server}, {now - begun:.0f} s of at most {seconds:.0f}: {why}\n")
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    settings = read_settings()
    try:
        if sys.argv[1:] == ["--check"]:
            sys.exit(complaint(settings))
        revision = prepare(settings, sys.argv[1] if len(sys.argv) > 1 else "head")
    except (SQLAlchemyError, StorageUnavailable) as error:
        sys.exit(f"Not prepared: {str(error).partition(chr(10))[0]}. Look at the server that it names, then run again.")
    where = f"bucket {settings.s3_bucket!r}" if settings.s3_endpoint else "folder of objects"
    sys.stdout.write(f"The database is at revision {revision}; the {where} is there.\n")


if __name__ == "__main__":
    main()
