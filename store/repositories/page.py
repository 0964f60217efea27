"""Keyset pages: stable under inserts, because a page starts behind an id and not at an offset."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

Row = TypeVar("Row")


def newest_first(
    session: Session, query: Select[Row], key: Any, before: str | None, limit: int
) -> tuple[list[Row], bool]:
    """Up to `limit` rows with `key` below `before`, newest first, and whether more follow."""
    if before:
        query = query.where(key < before)
    rows: list[Row] = list(session.scalars(query.order_by(key.desc()).limit(limit + 1)))
    return rows[:limit], len(rows) > limit
