"""Migrations bring an empty database to exactly the tables in the code, on both databases, and down again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, text

from store.database import Database, alembic_config
from store.tables import Base
from tests.slowness import within

ROOT = Path(__file__).resolve().parent.parent.parent


def test_up_equals_the_tables_in_the_code(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    command.check(alembic_config(database_url))  # raises when autogenerate would find a difference
    assert set(Base.metadata.tables) | {"alembic_version"} == set(inspect(database.engine).get_table_names())
    database.close()


def test_several_processes_migrate_one_database(database_url: str) -> None:
    at = time.time() + 3
    program = (
        "import sys, time; from store.database import Database; database = Database(sys.argv[1]); "
        "time.sleep(max(0.0, float(sys.argv[2]) - time.time())); database.migrate()"
    )
    command_line = [sys.executable, "-c", program, database_url, str(at)]
    started = [
        subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        for _ in range(3)
    ]
    said = [process.communicate(timeout=within(60))[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    command.check(alembic_config(database_url))


def test_up_twice_and_down_to_nothing(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    database.migrate()
    command.downgrade(alembic_config(database_url), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    database.migrate()
    database.close()


@pytest.mark.services
def test_a_migration_that_a_deadlock_ends_begins_anew(postgres_url: str) -> None:
    """A service that runs reads a job, then locks its tenant; the migration takes these tables the other way round."""
    database = Database(postgres_url)
    database.migrate("0003")
    migration = threading.Thread(target=database.migrate, args=("0004",))
    with database.engine.connect() as service, database.engine.connect() as watching:
        service.execute(text("SET LOCAL deadlock_timeout = '1h'"))  # so that it is the migration that is ended
        service.execute(text("SELECT count(*) FROM jobs"))
        migration.start()
        while not watching.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
            time.sleep(0.01)
        service.execute(text("SELECT id FROM tenants FOR UPDATE"))
    migration.join(30)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0004"
    database.close()
