"""Rows of a table whatever its format: CSV, JSON Lines, a JSON array, packed by gzip or not, or parquet. Told by
content: names lie, and an uploaded file has none."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from distill.data.columns import LABELS, find, key
from distill.data.gz import table_stream
from distill.data.parquet import (
    MAGIC,
    ROW_GROUP_BYTES,
    ParquetLimits,
    bytes_of,
    class_names,
    is_bytes,
    named,
    parquet_file,
)
from distill.data.row_checks import Form, Row, RowLimits, check_columns, check_row, refuse
from distill.data.rows import HEAD_BYTES, form_of, read_rows

_BATCH = 1024


def format_of(path: Path, limits: RowLimits) -> Form | Literal["parquet"]:
    """By content. What is neither parquet nor JSON is read as CSV."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return "parquet"
    with table_stream(path, limits) as stream:
        return form_of(stream.read(HEAD_BYTES))


def rows_of(path: Path, limits: RowLimits, name: str = "") -> Iterator[Row]:
    """The table's rows in order, lazily. Labels of a parquet file that are numbers of a ClassLabel come as its names.
    Raises `InvalidDataset`."""
    name, form = name or path.name, format_of(path, limits)
    if form == "parquet":
        yield from _parquet(path, limits, name)
        return
    with table_stream(path, limits) as stream:
        yield from read_rows(stream, form, limits, name)


def columns(path: Path, limits: RowLimits) -> list[str]:
    """Names of the table's columns, [] where it has no rows. Of parquet only the footer is read: a batch of rows may
    hold gigabytes of images. Raises `InvalidDataset`."""
    if format_of(path, limits) != "parquet":
        return [name for row in islice(rows_of(path, limits), 1) for name in row]
    with parquet_file(path, _footer(limits)) as file:
        return list(file.schema_arrow.names)


def names_of(path: Path, column: str, limits: RowLimits) -> tuple[str, ...] | None:
    """Class names in the order of their numbers, where the file's metadata have them for this column."""
    if format_of(path, limits) != "parquet":
        return None
    with parquet_file(path, _footer(limits)) as file:
        return class_names(file.schema_arrow).get(column)


def holds_bytes(path: Path, limits: RowLimits) -> bool:
    """Whether a parquet file has a column of bytes, as of images; False for other tables."""
    if format_of(path, limits) != "parquet":
        return False
    with parquet_file(path, _footer(limits)) as file:
        return any(is_bytes(bytes_of(field.type)) for field in file.schema_arrow)


def _parquet(path: Path, limits: RowLimits, name: str) -> Iterator[Row]:
    with parquet_file(path, _footer(limits)) as file:
        schema = file.schema_arrow
        check_columns(list(schema.names), limits, name, 0)
        label, names = find(schema.names, LABELS), class_names(schema)
        number, total = 0, 0
        most = max(limits.ratio_free_bytes, int(limits.ratio * path.stat().st_size))
        for batch in file.iter_batches(batch_size=_BATCH):
            total += batch.nbytes
            if total > most:  # dictionary encoding writes a text once however many rows have it
                refuse(f"{name} unpacks to more than {limits.ratio:g} times its size", "Send each text once.")
            for row in batch.to_pylist():
                number += 1
                kept = {column: _plain(value, column, limits) for column, value in row.items()}
                if label in names:
                    kept[label] = named(kept[label], names[label], name, number)
                check_row(kept, number, limits, name)
                yield kept


def _footer(limits: RowLimits) -> ParquetLimits:
    return ParquetLimits(limits.rows, ROW_GROUP_BYTES, limits.total_bytes)


def _plain(value: Any, column: str, limits: RowLimits) -> Any:
    """Values that no text table needs (bytes, dates) become None, so that they are missed where they matter."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Decimal):
        return float(value)
    return value if key(column) in limits.nested and isinstance(value, list) else None
