"""CSV: RFC 4180 with a header line. The delimiter (comma, semicolon, tab) is what Excel's line `sep=` says, else what
the header has most of, **our choice**."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from distill.data.lines import Lines
from distill.data.row_checks import Row, RowLimits, check_columns, check_row, refuse

DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_QUOTES = (
    "Write a quote within a value twice and the value in quotes (pandas' to_csv and Excel do), or write JSON Lines; "
    "upload it again."
)


@dataclass
class CsvRows:
    """Rows whose values are text. A column without a name is called as pandas calls it: `Unnamed: 0`."""

    lines: Lines
    limits: RowLimits
    name: str

    def rows(self) -> Iterator[Row]:
        # A process-wide number; harmless, since `Lines` bounds what a field can be made of.
        csv.field_size_limit(max(csv.field_size_limit(), self.limits.row_bytes))
        first = next(self.lines, "")
        said = _SEPARATOR.fullmatch(first)
        first = next(self.lines, "") if said else first
        delimiter = said[1] if said else max(DELIMITERS, key=first.count)
        reader = csv.reader(chain([first] if first else [], self.lines), delimiter=delimiter, strict=True)
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
        columns = [column.strip() or f"Unnamed: {i}" for i, column in enumerate(columns)]
        check_columns(columns, self.limits, self.name, 0)
        return columns

    def _next(self, reader: Any, number: int) -> list[str] | None:
        self.lines.fresh() if number else None
        try:
            values: list[str] | None = next(reader, None)
        except csv.Error as error:
            refuse(f"row {number} of {self.name} is no CSV ({error})", _QUOTES, row=number)
        return values

    def _row(self, columns: list[str], values: list[str], number: int) -> Row:
        if len(values) != len(columns):
            what = f"row {number} of {self.name} has {len(values)} values for {len(columns)} columns"
            refuse(what, row=number)
        row: Row = dict(zip(columns, values, strict=True))
        check_row(row, number, self.limits, self.name)
        return row
