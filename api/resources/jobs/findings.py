"""Collects what is wrong with a request, so that the answer names all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from api.errors.problems import FieldError, Unprocessable
from distill.errors import UserError


@dataclass(frozen=True)
class Finding:
    """One thing wrong, and where."""

    pointer: str
    message: str
    remedy: str = ""
    code: str = "invalid_request"
    details: dict[str, Any] = field(default_factory=dict)


class Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def add(self, pointer: str, message: str, remedy: str = "", code: str = "invalid_request", **details: Any) -> None:
        self._found.append(Finding(pointer, message, remedy, code, details))

    def names(self, pointer: str) -> bool:
        """Whether something is wrong there, or below."""
        return any(f"{each.pointer}/".startswith(f"{pointer}/") for each in self._found)

    def __len__(self) -> int:
        return len(self._found)

    @contextmanager
    def at(self, pointer: str, member: str = "") -> Iterator[None]:
        """Note a `UserError` of the block; `member`: the detail that names the member under `pointer`."""
        try:
            yield
        except UserError as error:
            below = error.details.get(member) if member else None
            where = f"{pointer}/{below}" if below else pointer
            self.add(where, error.message, error.remedy, error.code, **error.details)

    def raise_if_any(self) -> None:
        """Raise `Unprocessable` where something was found."""
        if self._found:
            raise self.problem()

    def problem(self) -> Unprocessable:
        """The refusal, of at least one finding: the first one's text and code, and all places."""
        first, more = self._found[0], len(self._found) - 1
        detail = first.message + (f" And {more} more." if more else "")
        errors = [FieldError(pointer=each.pointer, message=each.message, **{"in": "body"}) for each in self._found]
        return Unprocessable(detail, first.remedy, code=first.code, errors=errors, details=first.details)
