"""Migrations bring an empty database to exactly the tables in the code, on both databases, and down again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from alembic import command
from sqlalchemy import inspect

from store.database import Database, alembic_config
from store.tables import Base

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
    said = [process.communicate(timeout=60)[1] for process in started]
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
