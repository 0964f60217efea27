"""Rows of all tables as JSON lines, and back. The tables are read from the database itself, so that a backup of older
tables can be restored: they are filled at their own revision and migrated then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, MetaData, Table, event, func, insert, select, text, update

from store.clock import UTCDateTime
from store.tables import JsonColumn

Row = dict[str, Any]
Line = tuple[str, Row]
BATCH = 500
#: Alembic's own table; workers that are there now, and no longer when it is restored; requests that somebody waits for.
LEFT_OUT = frozenset({"alembic_version", "workers", "predictions"})
#: The parts of an upload that is not complete are the object store's: it has to be begun again.
KEPT_UPLOADS = frozenset({"complete", "used"})


def reflect(connection: Connection) -> MetaData:
    """The database's tables, with our types for times and JSON: SQL NULL stays NULL, times have a zone."""
    metadata = MetaData()
    event.listen(metadata, "column_reflect", _with_our_types)
    metadata.reflect(connection)
    return metadata


def _with_our_types(inspector: Any, table: Any, column: dict[str, Any]) -> None:
    if isinstance(column["type"], DateTime):
        column["type"] = UTCDateTime()
    elif isinstance(column["type"], JSON):
        column["type"] = JsonColumn


def tables(metadata: MetaData) -> list[Table]:
    """Parents before their children."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def read_rows(connection: Connection) -> Iterator[Line]:
    """Every row that a backup keeps. The caller's transaction decides what is seen."""
    unfinished = set[str]()
    for table in sorted(tables(reflect(connection)), key=lambda table: table.name == "idempotency_keys"):
        for found in connection.execute(select(table).order_by(*table.primary_key)).yield_per(BATCH).mappings():
            row = dict(found)
            if table.name == "uploads" and row["status"] not in KEPT_UPLOADS:
                unfinished.add(row["id"])
            elif not (table.name == "idempotency_keys" and row["resource_id"] in unfinished):
                yield table.name, row


def write_lines(path: Path, lines: Iterable[Line]) -> dict[str, int]:
    """The file; how many rows each table has. The same rows make the same bytes."""
    counts = dict[str, int]()
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        for table, row in lines:
            counts[table] = counts.get(table, 0) + 1
            file.write(json.dumps([table, row], default=_plain, separators=(",", ":")).encode() + b"\n")
    return counts


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a column holds a {type(value).__name__}, which a backup cannot write")


def read_lines(path: Path) -> Iterator[Line]:
    with gzip.open(path, "rb") as file:
        for line in file:
            table, row = json.loads(line)
            yield table, row


def load(connection: Connection, lines: Iterable[Line]) -> dict[str, int]:
    """Insert rows into empty tables; how many each got."""
    found = reflect(connection).tables
    counts = dict[str, int]()
    for name, group in groupby(lines, key=lambda line: line[0]):
        table = found[name]
        counts[name] = _fill(connection, table, (row for _, row in group))
        _continue_numbers(connection, table)
    return counts


def _fill(connection: Connection, table: Table, rows: Iterator[Row]) -> int:
    """A row may name another of its own table (a job the one it is compared with) that comes later: set at the end."""
    times, own, later, count = _times(table), _own_references(table), list[Row](), 0
    while batch := list(islice(rows, BATCH)):
        later += [row for row in batch if any(row.get(name) is not None for name in own)]
        connection.execute(insert(table), [_row(row, times) | dict.fromkeys(own) for row in batch])
        count += len(batch)
    for row in later:
        this = [column == row[column.name] for column in table.primary_key]
        connection.execute(update(table).where(*this).values({name: row[name] for name in own}))
    return count


def _own_references(table: Table) -> list[str]:
    return [key.parent.name for key in table.foreign_keys if key.column.table is table]


def _times(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, UTCDateTime)]


def _row(row: Row, times: list[str]) -> Row:
    return row | {name: datetime.fromisoformat(row[name]) for name in times if row.get(name) is not None}


def _continue_numbers(connection: Connection, table: Table) -> None:
    """Postgres counts on from where its own sequence stands, not from the rows that we inserted."""
    if connection.dialect.name != "postgresql" or "id" not in table.columns:
        return
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:t, 'id')"), {"t": table.name})
    last = connection.scalar(select(func.max(table.columns["id"])))
    if sequence is not None and last is not None:
        connection.execute(text("SELECT setval(CAST(:s AS regclass), :n)"), {"s": sequence, "n": last})
