"""What a downloaded student says of what it was shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

BATCH = 64
"""Samples that go through a network at once, however many are asked about."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Prediction:
    """`probability`: the softmax of the class's logit, in (0, 1]."""

    label: str
    index: int
    probability: float


def in_parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """`BATCH` of them at a time."""
    left = iter(items)
    while part := list(islice(left, BATCH)):
        yield part
