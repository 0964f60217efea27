"""The database's clock: the only clock that leases know, so that no worker's wrong time can matter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """Timestamps with time zone everywhere; SQLite, which has none, stores naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: give it a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class db_now(ColumnElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's current time, plus `seconds`. Evaluated by the server at execution, not at transaction start."""

    type = UTCDateTime()
    # Statements with it are compiled once for every number of seconds, not once an execution (0.6 ms each).
    inherit_cache = True
    _traverse_internals = [("seconds", InternalTraversal.dp_plain_obj)]  # noqa: RUF012 - SQLAlchemy's own protocol

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = float(seconds)


@compiles(db_now, "postgresql")
def _postgresql(element: db_now, compiler: Any, **_: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {element.seconds!r}))"


@compiles(db_now, "sqlite")
def _sqlite(element: db_now, compiler: Any, **_: Any) -> str:
    # %f has three decimals; SQLAlchemy reads and writes six, and text compares digit by digit.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{element.seconds:+.3f} seconds') || '000')"
