"""JSON: one object a line, or an array of objects (or objects one after another) however they are laid out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from distill.data.json_cursor import JsonCursor
from distill.data.lines import Lines, Pieces
from distill.data.row_checks import Row, RowLimits, check_columns, check_row, no_constant, refuse, unique


@dataclass
class JsonLines:
    """One object a line; empty lines are none."""

    lines: Lines
    limits: RowLimits
    name: str

    def rows(self) -> Iterator[Row]:
        number = 0
        for line in self.lines:
            self.lines.fresh()
            if not line.strip():
                continue
            number += 1
            yield _checked(self._parsed(line, number), number, self.limits, self.name)

    def _parsed(self, line: str, number: int) -> object:
        try:
            return json.loads(line, object_pairs_hook=unique, parse_constant=no_constant)
        except (ValueError, RecursionError) as error:
            refuse(f"row {number} of {self.name} is no JSON ({str(error)[:100]})", row=number)


class JsonObjects:
    """Objects of an array, or one after another. At most one, and a piece of the stream, is in memory."""

    def __init__(self, pieces: Pieces, limits: RowLimits, name: str) -> None:
        self._cursor, self._limits, self._name = JsonCursor(pieces, limits.row_bytes), limits, name

    def rows(self) -> Iterator[Row]:
        array = self._cursor.peek() == "["
        if array:
            self._cursor.step()
        number = 0
        while self._more(array, number):
            number += 1
            yield _checked(self._object(number), number, self._limits, self._name)

    def _more(self, array: bool, number: int) -> bool:
        """Whether another object begins here, what stands between two having been read."""
        character = self._cursor.peek()
        if array and number and character == ",":
            self._cursor.step()
            return True
        if array and character == "]":
            self._cursor.step()
            return self._end(number)
        if not character:
            return self._end(number) if not array else refuse(f"{self._name} ends within its array, after row {number}")
        return not (array and number) or refuse(f"no comma stands after row {number} of {self._name}", row=number)

    def _end(self, number: int) -> bool:
        if self._cursor.peek():
            refuse(f"{self._name} goes on after its last row, {number}", row=number)
        return False

    def _object(self, number: int) -> object:
        try:
            return self._cursor.value()
        except ValueError as error:
            refuse(f"row {number} of {self._name} is no JSON ({error})", row=number)


def _checked(row: object, number: int, limits: RowLimits, name: str) -> Row:
    if not isinstance(row, dict):
        refuse(f"row {number} of {name} is no JSON object", row=number)
    check_columns(list(row), limits, name, number)
    check_row(row, number, limits, name)
    return row
