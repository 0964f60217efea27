"""What was asked of a student is on no disk once it is answered."""

from __future__ import annotations

from pathlib import Path

from store.database import Database
from store.repositories import predictions
from store.repositories.tenants import DEFAULT_TENANT
from tests.store.support import migrated, new_job

MARK = "a picture and a text that nobody else may see"


def test_sqlite_forgets_what_was_asked(tmp_path: Path) -> None:
    with migrated(f"sqlite:///{tmp_path}/retort.db") as database:
        _asked_and_answered(database)
        database.forget()
        assert not [path.name for path in tmp_path.iterdir() if MARK.encode() in path.read_bytes()]


def test_what_is_read_meanwhile_hinders_nobody(tmp_path: Path) -> None:
    with migrated(f"sqlite:///{tmp_path}/retort.db") as database:
        _asked_and_answered(database)
        with database.read() as session:
            predictions.any_waiting(session)
            database.forget()
            _asked_and_answered(database)
        database.forget()
        assert not [path.name for path in tmp_path.iterdir() if MARK.encode() in path.read_bytes()]


def _asked_and_answered(database: Database) -> None:
    job = new_job(database)
    with database.write() as session:
        made = predictions.ask(session, DEFAULT_TENANT, job, {"texts": [MARK]}, 500 * MARK.encode(), 60)
    with database.write() as session:
        assert predictions.claim(session, "wrk_test") is not None
    with database.write() as session:
        predictions.remove(session, made)
