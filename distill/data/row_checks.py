"""What a row of an untrusted table may hold, and how one that holds more is refused."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, NoReturn

from distill.data.columns import key
from distill.errors import InvalidDataset

Form = Literal["csv", "jsonl", "json"]
Cell = str | int | float | bool | None
Row = dict[str, Cell]
REMEDY = "Write UTF-8 CSV with a header line, or one JSON object a line, and upload it again."


@dataclass(frozen=True, slots=True)
class RowLimits:
    """Caps. `row_bytes` and `total_bytes` count encoded bytes of the stream, `cell_bytes` one value's, `columns` and
    `name_bytes` what the header (each object) may hold. JSON values of the columns in `nested` (by `key`) may be
    lists and objects; who asks for them checks what is inside. `ratio`: unpacked / packed bytes of a gzip file above
    `ratio_free_bytes`."""

    rows: int = 3_000_000
    columns: int = 256
    name_bytes: int = 200
    cell_bytes: int = 1 << 20
    row_bytes: int = 4 << 20
    total_bytes: int = 64 << 30
    nested: frozenset[str] = frozenset()
    ratio: float = 200.0
    ratio_free_bytes: int = 1 << 20


def refuse(what: str, remedy: str = REMEDY, **details: object) -> NoReturn:
    raise InvalidDataset(f"The table was refused: {what}.", remedy, details)


def check_columns(columns: list[str], limits: RowLimits, name: str, number: int) -> None:
    """Raise `InvalidDataset` for doubled, empty, too many or too long column names."""
    if len(columns) > limits.columns:
        refuse(f"{name} has {len(columns):,} columns, more than {limits.columns}", row=number)
    if len(set(columns)) != len(columns) or not all(columns) or not all(map(encoded, columns)):
        refuse(f"column names of {name} are empty or come twice ({', '.join(columns)[:200]})", row=number)
    if max((len(encoded(column)) for column in columns), default=0) > limits.name_bytes:
        refuse(f"a column name of {name} has more than {limits.name_bytes} bytes", row=number)


def check_row(row: Row, number: int, limits: RowLimits, name: str) -> None:
    """Raise `InvalidDataset` for a value that is nested or too long, and for a row too many."""
    if number > limits.rows:
        refuse(f"{name} has more than {limits.rows:,} rows", rows=limits.rows)
    for column, value in row.items():
        if isinstance(value, dict | list) and key(column) not in limits.nested:
            remedy = f"Write plain values there. If the rows are what {column!r} holds, make a file of that list alone."
            refuse(f"column {column!r} of row {number} of {name} is nested; write plain values", remedy, row=number)
        if isinstance(value, float) and not isfinite(value):
            refuse(f"column {column!r} of row {number} of {name} is no finite number", row=number)
        if isinstance(value, str):
            _check_text(value, column, number, limits, name)


def _check_text(value: str, column: str, number: int, limits: RowLimits, name: str) -> None:
    if len(value) > limits.cell_bytes or (not value.isascii() and len(encoded(value)) > limits.cell_bytes):
        what = f"column {column!r} of row {number} of {name} has more than {limits.cell_bytes:,} bytes"
        refuse(what, row=number, column=column)
    if not is_text(value):
        refuse(f"column {column!r} of row {number} of {name} holds characters that no text has", row=number)


def is_text(value: str) -> bool:
    """False for NUL and for half a surrogate pair: JSON can escape what UTF-8 and databases cannot hold."""
    return "\0" not in value and bool(encoded(value))


def encoded(value: str) -> bytes:
    """UTF-8, or nothing for half a surrogate pair."""
    try:
        return value.encode() or b" "
    except UnicodeEncodeError:
        return b""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises `ValueError` for a name that comes twice."""
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name comes twice")
    return row


def no_constant(text: str) -> NoReturn:
    """NaN and Infinity, which Python's reader would take."""
    raise ValueError(f"{text} is no JSON")
