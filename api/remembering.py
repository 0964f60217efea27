"""Answers of the database that are good for a moment."""

from __future__ import annotations

import time
from typing import Any


class Memory:
    """Forgets each value after `seconds`, and everything when there is too much of it. Safe between threads: every
    operation is one of a dict's."""

    def __init__(self, seconds: float, most: int = 10_000) -> None:
        self.seconds, self._most = seconds, most
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, name: str) -> Any:
        """None for what is not there, or not any more."""
        until, value = self._values.get(name, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, name: str, value: Any) -> None:
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[name] = (time.monotonic() + self.seconds, value)

    def forget(self) -> None:
        self._values.clear()
