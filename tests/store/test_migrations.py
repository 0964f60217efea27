"""Migrations bring an empty database to exactly the tables in the code, on both databases, and down again."""

from __future__ import annotations

from alembic import command
from sqlalchemy import inspect

from store.database import Database, alembic_config
from store.tables import Base


def test_up_equals_the_tables_in_the_code(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    command.check(alembic_config(database_url))  # raises when autogenerate would find a difference
    assert set(Base.metadata.tables) | {"alembic_version"} == set(inspect(database.engine).get_table_names())
    database.close()


def test_up_twice_and_down_to_nothing(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    database.migrate()
    command.downgrade(alembic_config(database_url), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    database.migrate()
    database.close()
