"""`python -m store.prepare`: the one-shot step before API and workers start. Safe to run again, and by several at once.

Brings the database to the newest tables and makes the bucket. With a revision as argument it stops there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from store.database import AWAY, Database
from store.objects import StorageUnavailable, open_store
from store.settings import Settings, read_settings

PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 2.0


def prepare(settings: Settings, revision: str = "head", patience_seconds: float = PATIENCE_SECONDS) -> str:
    """Both steps; the revision that the database has then. Waits `patience_seconds` for each server to answer.

    Raises one of `AWAY` or `StorageUnavailable` when a server does not answer in time, and Alembic's errors.
    """
    database = Database(settings.resolved_database_url)
    try:
        _patiently(database.ping, patience_seconds)
        database.migrate(revision)
        _patiently(lambda: open_store(settings).ping(), patience_seconds)
        with database.engine.connect() as connection:
            return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    finally:
        database.close()


def _patiently(step: Callable[[], None], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return step()
        except (*AWAY, StorageUnavailable):
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    settings = read_settings()
    try:
        revision = prepare(settings, sys.argv[1] if len(sys.argv) > 1 else "head")
    except (SQLAlchemyError, StorageUnavailable) as error:
        sys.exit(f"Not prepared: {str(error).partition(chr(10))[0]}. Look at the server that it names, then run again.")
    where = f"bucket {settings.s3_bucket!r}" if settings.s3_endpoint else "folder of objects"
    sys.stdout.write(f"The database is at revision {revision}; the {where} is there.\n")


if __name__ == "__main__":
    main()
