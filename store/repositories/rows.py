"""Rows of whatever table: held as they are now, inserted unless they are there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.tables import Base


class Gone(Exception):
    """The row was there when it was found, and has been deleted since."""

    def __init__(self, row_id: str) -> None:
        super().__init__(f"{row_id} has been deleted meanwhile")
        self.row_id = row_id


def insert(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """`INSERT` as the session's database says it: with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    kind = session.get_bind().dialect.name
    return postgresql.insert(table) if kind == "postgresql" else sqlite.insert(table)


def lock(session: Session, row: Base) -> None:
    """Nobody changes the row until commit; `row` is as it is now. Raises `Gone`. (SQLite has one writer at a time
    anyway.)"""
    table: Any = type(row)
    row_id: str = row.id  # type: ignore[attr-defined]
    query = select(table).where(table.id == row_id).with_for_update(key_share=True)
    if session.scalar(query.execution_options(populate_existing=True)) is None:
        raise Gone(row_id)
