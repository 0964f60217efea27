"""A place in a stream of JSON: one value after another, without the rest in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from distill.data.lines import Pieces
from distill.data.row_checks import no_constant, unique

_PIECE = 1 << 16
_SPACE = " \t\r\n"
_TAIL = 32  # what may stand between the digits that were read and those still to come: `.`, `e-`


class JsonCursor:
    """Reads from `pieces` as it goes; no value may have more than about `most` characters. `constant` gives the value
    of NaN, Infinity and -Infinity, which Python writes and JSON does not know; by default they are refused."""

    def __init__(self, pieces: Pieces, most: int, constant: Callable[[str], object] = no_constant) -> None:
        self._pieces, self._most = pieces, most
        self._text, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder(object_pairs_hook=unique, parse_constant=constant)

    def peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def step(self) -> None:
        """Past the character that `peek` gave."""
        self._at += 1

    def value(self) -> object:
        """The next value, past which the cursor goes. Raises `ValueError` for what is none, and for one too long."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:  # perhaps only cut off
                what, full = str(error)[:100], len(self._text) - self._at > self._most
            except (ValueError, RecursionError) as error:
                what, full = str(error)[:100], True
            else:
                if isinstance(value, int | float) and not self._ended and len(self._text) - end < _TAIL:
                    self._fill()  # more digits may follow
                    continue
                self._at = end
                return value
            if full or not self._fill():
                raise ValueError(what)

    def expect(self, character: str) -> None:
        """Past this character. Raises `ValueError` where another one stands."""
        if self.peek() != character:
            raise ValueError(f"no {character} where one should stand")
        self.step()

    def items(self) -> Iterator[object]:
        """The values of the array that begins here, one by one. Raises `ValueError`."""
        yield from (self.value() for _ in self._between("[", "]"))

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller reads each one's value before it asks for the next.
        Raises `ValueError`."""
        for _ in self._between("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise ValueError("a key that is no text")
            self.expect(":")
            yield key

    def skip(self) -> None:
        """Past the next value; of an array past one item after another, so that it may be of any length."""
        if self.peek() == "[":
            for _ in self.items():
                pass
        else:
            self.value()

    def _between(self, first: str, last: str) -> Iterator[None]:
        """Once before each member of what stands between two brackets."""
        self.expect(first)
        if self.peek() == last:
            self.step()
            return
        while True:
            yield
            if self.peek() == last:
                self.step()
                return
            self.expect(",")

    def _fill(self) -> bool:
        """Read as much again as is waiting, so that a long value is tried few times; False at the end."""
        waiting = self._text[self._at :]
        more = "" if self._ended else self._pieces.next(max(_PIECE, len(waiting)))
        self._text, self._at, self._ended = waiting + more, 0, not more
        return bool(more)
