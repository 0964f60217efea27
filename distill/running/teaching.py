"""One teacher of a run, and what the run reads of it: its layers, its Q curve, and the pairs that came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from distill.running.pairs import Pairs
from distill.tasks.base import Groups, Task
from distill.tasks.network import Network
from distill.tasks.teacher_set import layer_of
from distill.teacher_classes import ClassMatch
from distill.types import Layer, QCurve


@dataclass
class Teaching:
    """`position`: among the `of` teachers of the run, from 0. `curve`, `pairs`: None until they are there."""

    task: Task
    network: Network
    match: ClassMatch
    position: int = 0
    of: int = 1
    curve: QCurve | None = None
    pairs: Pairs | None = None

    @cached_property
    def groups(self) -> Groups | str:
        """The rows of its Q curve, or why there is none."""
        return self.task.groups(self.network)

    @cached_property
    def layers(self) -> list[Layer]:
        """Every layer that could be distilled."""
        return self.task.layers(self.network)

    @property
    def label(self) -> str:
        """What it is called among several; empty of one alone."""
        return self.network.label if self.of > 1 else ""

    @property
    def whose(self) -> dict[str, int]:
        """What an event about one of several teachers says of it: its position, from 0."""
        return {"teacher": self.position} if self.of > 1 else {}

    def own(self, message: str) -> str:
        """A message of it, which names it among several."""
        return f"{self.label}: {message}" if self.label else message


def teachings(task: Task) -> list[Teaching]:
    """One for each teacher of the task; [] without any."""
    found = task.teachers
    return [Teaching(task, network, match, i, len(found)) for i, (network, match) in enumerate(found)]


def joined_pairs(found: Sequence[Teaching]) -> Pairs | None:
    """The pairs of all teachers as those of their set, the first teacher's first; None where there are none."""
    known = [each.pairs for each in found if each.pairs is not None]
    if len(known) < 2:
        return known[0] if known else None
    layers = [_in_set(each, layer) for each in found if each.pairs is not None for layer in each.pairs.teacher]
    students = [layer for pairs in known for layer in pairs.student]
    reasons = "; ".join(each.own(each.pairs.reason) for each in found if each.pairs is not None)
    return Pairs(known[0].rule, tuple(layers), tuple(students), reasons)


def _in_set(teaching: Teaching, layer: Layer) -> Layer:
    return replace(layer, name=layer_of(teaching.position, teaching.of, layer.name))
