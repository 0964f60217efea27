"""Rows of a text table, whatever its format: csv, tsv, jsonl or parquet, within caps. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from distill.data.rows import FORMS, Row, RowLimits, check_columns, check_row, read_rows, refuse

MESSAGES = "messages"
LIMITS = RowLimits(rows=5_000_000, total_bytes=16 << 30, nested=frozenset({MESSAGES}))
ROW_GROUP_BYTES = 2 << 30
_ROWS = 1024
FORMATS = frozenset({*FORMS, ".parquet"})


def rows_of(path: Path, limits: RowLimits = LIMITS) -> Iterator[Row]:
    """The table's rows in order, lazily; the format is the file name's ending. Raises `InvalidDataset`."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(path, limits)
    elif suffix in FORMS:
        with path.open("rb") as file:
            yield from read_rows(file, FORMS[suffix], limits, path.name)
    else:
        refuse(f"{path.name} is neither csv, jsonl nor parquet", name=path.name)


def columns(path: Path, limits: RowLimits = LIMITS) -> list[str]:
    """Names of the table's columns, [] where it has no rows. Of parquet only the footer is read: a batch of rows may
    hold gigabytes of images. Raises `InvalidDataset`."""
    if path.suffix.lower() != ".parquet":
        return [name for row in islice(rows_of(path, limits), 1) for name in row]
    try:
        schema = pq.read_schema(path)
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:  # Arrow's errors are among these
        refuse(f"{path.name} cannot be read ({str(error)[:200]})")
    return list(schema.names)


def _parquet(path: Path, limits: RowLimits) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            _check(file, path.name, limits)
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    kept = {name: _plain(value, name, limits) for name, value in row.items()}
                    check_row(kept, number, limits, path.name)
                    yield kept
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:  # Arrow's errors are among these
        refuse(f"{path.name} cannot be read ({str(error)[:200]})")


def _check(file: Any, name: str, limits: RowLimits) -> None:
    meta = file.metadata
    if meta.num_rows > limits.rows:
        refuse(f"{name} has {meta.num_rows:,} rows, more than {limits.rows:,}")
    sizes = [meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)]
    if max(sizes, default=0) > ROW_GROUP_BYTES or sum(sizes) > limits.total_bytes:
        refuse(f"{name} unpacks to more bytes than may be; write smaller row groups")
    check_columns(list(file.schema_arrow.names), limits, name, 0)


def _plain(value: Any, column: str, limits: RowLimits) -> Any:
    """Values that no text table needs (bytes, dates) become None, so that they are missed where they matter."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value if column in limits.nested and isinstance(value, list) else None
