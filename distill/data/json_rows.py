"""JSON: one object a line, or an array of objects (or objects one after another) however they are laid out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from distill.data.lines import Lines, Pieces
from distill.data.row_checks import Row, RowLimits, check_columns, check_row, no_constant, refuse, unique

_PIECE = 1 << 16
_SPACE = " \t\r\n"


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
        self._pieces, self._limits, self._name = pieces, limits, name
        self._text, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder(object_pairs_hook=unique, parse_constant=no_constant)

    def rows(self) -> Iterator[Row]:
        array = self._peek() == "["
        self._at += array
        number = 0
        while self._more(array, number):
            number += 1
            yield _checked(self._object(number), number, self._limits, self._name)

    def _more(self, array: bool, number: int) -> bool:
        """Whether another object begins here, what stands between two having been read."""
        character = self._peek()
        if array and number and character == ",":
            self._at += 1
            return True
        if array and character == "]":
            self._at += 1
            return self._end(number)
        if not character:
            return self._end(number) if not array else refuse(f"{self._name} ends within its array, after row {number}")
        return not (array and number) or refuse(f"no comma stands after row {number} of {self._name}", row=number)

    def _end(self, number: int) -> bool:
        if self._peek():
            refuse(f"{self._name} goes on after its last row, {number}", row=number)
        return False

    def _object(self, number: int) -> object:
        self._peek()
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:  # perhaps only cut off
                what, full = str(error)[:100], len(self._text) - self._at > self._limits.row_bytes
            except (ValueError, RecursionError) as error:
                what, full = str(error)[:100], True
            if full or not self._fill():
                refuse(f"row {number} of {self._name} is no JSON ({what})", row=number)

    def _peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Read as much again as is waiting, so that a long object is tried few times; False at the end."""
        waiting = self._text[self._at :]
        more = "" if self._ended else self._pieces.next(max(_PIECE, len(waiting)))
        self._text, self._at, self._ended = waiting + more, 0, not more
        return bool(more)


def _checked(row: object, number: int, limits: RowLimits, name: str) -> Row:
    if not isinstance(row, dict):
        refuse(f"row {number} of {name} is no JSON object", row=number)
    check_columns(list(row), limits, name, number)
    check_row(row, number, limits, name)
    return row
