"""A session that only reads refuses to write, whichever way it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from store.database import Database
from store.tables import Tenant
from tests.services.tables import opened


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return opened(f"sqlite:///{tmp_path}/retort.db")


def test_statements_that_write_are_refused(database: Database) -> None:
    for statement in (
        sa.delete(Tenant),
        sa.update(Tenant).values(name="x"),
        sa.insert(Tenant).values(id="x", name="x"),
    ):
        with pytest.raises(RuntimeError), database.read() as session:
            session.execute(statement)


def test_changed_rows_are_refused(database: Database) -> None:
    with pytest.raises(RuntimeError), database.read() as session:
        session.add(Tenant(id="x", name="x"))
    with database.read() as session:
        assert session.scalars(sa.select(Tenant).where(Tenant.id == "x")).all() == []
