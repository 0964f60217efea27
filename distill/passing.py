"""Generators of events, looked through while they go on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from distill.types import Event

T = TypeVar("T")


def passing(
    events: Generator[Event, None, T], see: Callable[[Event], Iterable[Event]]
) -> Generator[Event, None, T]:  # fmt: skip
    """In place of each event what `see` makes of it; in the end what `events` returns."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            returned: T = end.value
            return returned
        yield from see(event)
