"""The one-shot step before API and workers: tables and bucket, again and again, and servers that come late."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from store.database import Database
from store.prepare import complaint, prepare
from store.settings import Settings
from tests.services.postgres import Postgres
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.slowness import within

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.services
def test_it_makes_tables_and_bucket_and_may_run_again(postgres_url: str, s3: S3, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, database_url=postgres_url, s3_endpoint=s3.endpoint, s3_bucket=s3.new_bucket(),
        s3_access_key=ACCESS_KEY, s3_secret_key=SECRET_KEY,
    )  # fmt: skip
    assert prepare(settings, "0001") == "0001"
    newest = prepare(settings)
    assert newest != "0001"
    assert prepare(settings) == newest


@pytest.mark.services
def test_a_server_that_comes_late_is_waited_for_and_told_of(
    postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.prepare.PAUSE_SECONDS", 0.05)
    url = postgres.new_database()
    away, here = Settings(data_dir=tmp_path, database_url=url), postgres.port
    postgres.drop_database(url)
    name = url.rpartition("/")[2]

    def create() -> None:
        with psycopg.connect(host="127.0.0.1", port=here, user="retort", dbname="postgres", autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]

    timer = threading.Timer(0.5, create)
    timer.start()
    try:
        assert prepare(away) != "none"
    finally:
        timer.join()
        postgres.drop_database(url)
    assert "Waiting for the database, 0 s of at most 600" in capsys.readouterr().err


@pytest.mark.services
def test_a_server_that_is_away_is_waited_for_and_then_named(postgres: Postgres, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")} | {
        "RETORT_DATABASE_URL": "postgresql+psycopg://retort@127.0.0.1:1/none", "RETORT_DATA_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    program = "import store.prepare as p; p.PATIENCE_SECONDS = 0; p.prepare.__defaults__ = ('head', 0.0); p.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=within(60)
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Not prepared: ")
    assert "Traceback" not in done.stderr


def test_the_check_wants_tables_as_new_as_the_code(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert "revision None" in str(complaint(settings))
    prepare(settings, "0001")
    assert "revision 0001" in str(complaint(settings))
    prepare(settings)
    assert complaint(settings) is None
    database = Database(settings.resolved_database_url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert complaint(settings) is None  # an upgrade goes on, or was taken back
    database.close()
