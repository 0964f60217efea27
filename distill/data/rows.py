"""Rows of named columns from an untrusted CSV or JSON Lines stream, within caps. Knows nothing of images or texts.

CSV: RFC 4180 with a header line; the delimiter (comma, semicolon, tab) is the one that the header has most of, **our
choice**. JSON Lines: one object a line, values plain. Both UTF-8 (a byte order mark is dropped).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

from distill.errors import InvalidDataset

Form = Literal["csv", "jsonl"]
Cell = str | int | float | bool | None
Row = dict[str, Cell]
FORMS: dict[str, Form] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
DELIMITERS = ",;\t"
REMEDY = "Write UTF-8 CSV with a header line, or one JSON object a line, and upload it again."


@dataclass(frozen=True, slots=True)
class RowLimits:
    """Caps. `row_bytes` and `total_bytes` count encoded bytes of the stream, `cell_bytes` one value's, `columns` and
    `name_bytes` what the header (each object) may hold. JSON values of the columns in `nested` may be lists and
    objects; who asks for them checks what is inside."""

    rows: int = 3_000_000
    columns: int = 256
    name_bytes: int = 200
    cell_bytes: int = 1 << 20
    row_bytes: int = 4 << 20
    total_bytes: int = 64 << 30
    nested: frozenset[str] = frozenset()


def read_rows(stream: BinaryIO, form: Form, limits: RowLimits, name: str = "The file") -> Iterator[Row]:
    """Rows in order, each with exactly its own columns: CSV's values are text, JSON's also numbers, booleans, None.

    Lazily: at most one row is in memory. Raises `InvalidDataset` (with the row's number from 1, header not counted)
    for other encodings, NUL bytes, ragged rows, doubled or empty column names, nested values and what `limits` forbid.
    """
    reader = _Csv if form == "csv" else _JsonLines
    yield from reader(_Lines(stream, limits, name), limits, name).rows()


def refuse(what: str, **details: object) -> NoReturn:
    raise InvalidDataset(f"The table was refused: {what}.", REMEDY, details)


class _Lines:
    """Decoded lines, none longer than a row may be. `used`: encoded bytes since the last `fresh`."""

    def __init__(self, stream: BinaryIO, limits: RowLimits, name: str) -> None:
        self._stream, self._limits, self._name = stream, limits, name
        self._total, self.used, self.number = 0, 0, 0

    def fresh(self) -> None:
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(self._limits.row_bytes + 1 - min(self.used, self._limits.row_bytes))
        if not raw:
            raise StopIteration
        self._count(len(raw))
        if self.number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in raw:
            refuse(f"line {self.number} of {self._name} holds NUL bytes (is it UTF-16?)", line=self.number)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            refuse(f"line {self.number} of {self._name} is not UTF-8", line=self.number)

    def _count(self, size: int) -> None:
        self.number, self.used, self._total = self.number + 1, self.used + size, self._total + size
        if self.used > self._limits.row_bytes:
            what = f"the row at line {self.number} of {self._name} has more than {self._limits.row_bytes:,} bytes"
            refuse(what, line=self.number)
        if self._total > self._limits.total_bytes:
            refuse(f"{self._name} has more than {self._limits.total_bytes:,} bytes")


@dataclass
class _Csv:
    lines: _Lines
    limits: RowLimits
    name: str

    def rows(self) -> Iterator[Row]:
        # A process-wide number; harmless, since `_Lines` bounds what a field can be made of.
        csv.field_size_limit(max(csv.field_size_limit(), self.limits.row_bytes))
        first = next(self.lines, "")
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(_prepended(first, self.lines), delimiter=delimiter, strict=True)
        columns = self._header(reader)
        number = 0
        while (values := self._next(reader, number + 1)) is not None:
            if not values:  # an empty line
                continue
            number += 1
            yield self._row(columns, values, number)

    def _header(self, reader: Any) -> list[str]:
        columns = self._next(reader, 0)
        if not columns:
            refuse(f"{self.name} is empty")
        columns = [column.strip() for column in columns]
        check_columns(columns, self.limits, self.name, 0)
        return columns

    def _next(self, reader: Any, number: int) -> list[str] | None:
        self.lines.fresh() if number else None
        try:
            values: list[str] | None = next(reader, None)
        except csv.Error as error:
            refuse(f"row {number} of {self.name} is no CSV ({error})", row=number)
        return values

    def _row(self, columns: list[str], values: list[str], number: int) -> Row:
        if len(values) != len(columns):
            what = f"row {number} of {self.name} has {len(values)} values for {len(columns)} columns"
            refuse(what, row=number)
        row: Row = dict(zip(columns, values, strict=True))
        check_row(row, number, self.limits, self.name)
        return row


@dataclass
class _JsonLines:
    lines: _Lines
    limits: RowLimits
    name: str

    def rows(self) -> Iterator[Row]:
        number = 0
        for line in self.lines:
            self.lines.fresh()
            if not line.strip():
                continue
            number += 1
            row = self._parsed(line, number)
            check_columns(list(row), self.limits, self.name, number)
            check_row(row, number, self.limits, self.name)
            yield row

    def _parsed(self, line: str, number: int) -> Row:
        try:
            row = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            refuse(f"row {number} of {self.name} is no JSON ({str(error)[:100]})", row=number)
        if not isinstance(row, dict):
            refuse(f"row {number} of {self.name} is no JSON object", row=number)
        return row


def check_columns(columns: list[str], limits: RowLimits, name: str, number: int) -> None:
    """Raise `InvalidDataset` for doubled, empty, too many or too long column names."""
    if len(columns) > limits.columns:
        refuse(f"{name} has {len(columns):,} columns, more than {limits.columns}", row=number)
    if len(set(columns)) != len(columns) or not all(columns) or not all(map(_encoded, columns)):
        refuse(f"column names of {name} are empty or come twice ({', '.join(columns)[:200]})", row=number)
    if max((len(_encoded(column)) for column in columns), default=0) > limits.name_bytes:
        refuse(f"a column name of {name} has more than {limits.name_bytes} bytes", row=number)


def check_row(row: Row, number: int, limits: RowLimits, name: str) -> None:
    """Raise `InvalidDataset` for a value that is nested or too long, and for a row too many."""
    if number > limits.rows:
        refuse(f"{name} has more than {limits.rows:,} rows", rows=limits.rows)
    for column, value in row.items():
        if isinstance(value, dict | list) and column not in limits.nested:
            refuse(f"column {column!r} of row {number} of {name} is nested; write plain values", row=number)
        if isinstance(value, float) and not isfinite(value):
            refuse(f"column {column!r} of row {number} of {name} is no finite number", row=number)
        if isinstance(value, str):
            _check_text(value, column, number, limits, name)


def _check_text(value: str, column: str, number: int, limits: RowLimits, name: str) -> None:
    if len(value) > limits.cell_bytes or (not value.isascii() and len(_encoded(value)) > limits.cell_bytes):
        what = f"column {column!r} of row {number} of {name} has more than {limits.cell_bytes:,} bytes"
        refuse(what, row=number, column=column)
    if not is_text(value):
        refuse(f"column {column!r} of row {number} of {name} holds characters that no text has", row=number)


def is_text(value: str) -> bool:
    """False for NUL and for half a surrogate pair: JSON can escape what UTF-8 and databases cannot hold."""
    return "\0" not in value and bool(_encoded(value))


def _encoded(value: str) -> bytes:
    """UTF-8, or nothing for half a surrogate pair."""
    try:
        return value.encode() or b" "
    except UnicodeEncodeError:
        return b""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name comes twice")
    return row


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _prepended(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def form_of(path: Path) -> Form:
    """By content: a JSON Lines file begins with an object."""
    with path.open("rb") as file:
        return "jsonl" if file.read(2**10).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"
