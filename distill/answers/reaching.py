"""An answer whose losses are sums: what they depend on is what a task's own losses reach, without their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.answers.base import Answer, Compared, Distance
from distill.answers.regions import Regions


class Reaching(Answer):
    """Every loss is the sum of the outputs: it has the dependences of the task's own, which may need values that a
    tensor on the meta device has not."""

    def loss(self, compared: Compared) -> Tensor:
        return _sum(compared)

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        return _sum(compared)

    def mean(self, outputs: Sequence[Any]) -> Any:
        return outputs[0].detach()

    def regions(self, labels: Any, size: tuple[int, int]) -> Regions:
        """One object an image."""
        there = torch.ones(len(labels), 1, dtype=torch.bool, device=labels.device)
        return Regions(torch.ones(len(labels), 1, 4, device=labels.device), there, ~there)

    def weight(self, labels: Any) -> int:
        return len(labels)


class ReachingPlaces(Reaching):
    """Of labels that say where objects are."""

    places: ClassVar[bool] = True


class ReachingMaps(Reaching):
    """Of networks that give a map of logits a class."""

    maps: ClassVar[bool] = True


def _sum(compared: Compared) -> Tensor:
    total: Tensor = compared.outputs.float().sum()
    return total
