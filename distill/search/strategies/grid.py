"""Every point of a finite space, in the order of its places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from distill.search.plan import Tried
from distill.search.space import Assignment
from distill.search.strategy import Strategy


class Grid(Strategy):
    """The product of all choices and steps, the last place fastest. Nothing is drawn, so the seed changes nothing."""

    exhausts: ClassVar[bool] = True

    def proposals(self, tried: Sequence[Tried]) -> Iterator[Assignment]:
        yield from self.plan.space.points(self.plan.base)


ENTRY = Grid
