"""What an exported file says: boxes and scores alone, whatever kind of detector it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from torch import Tensor

from distill.answers import Distance
from distill.errors import InvalidConfig
from distill.tasks.detect_objects.answering import Kind
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.rows import Objects

FLAT, FINAL = "flat_boxes", "final_boxes"
"""Kinds of files: boxes of which those that overlap are yet to be removed, and boxes that are the answer."""


class FlatHead(Head):
    """Rows (n, Q, 4 + C): x1 y1 x2 y2 in pixels of the input, and a score a class. They are judged, not trained."""

    kind = Kind("boxes of an exported file", averages=False, pairs=False)

    def classes(self, outputs: Tensor) -> int:
        return outputs.shape[-1] - 4 if outputs.dim() == 3 else 0

    def scored(self, outputs: Tensor) -> Scored:
        return Scored(outputs[..., None, :4], outputs[..., 4:])

    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """NaN: boxes and scores are not what a detector's own loss is made of."""
        return outputs.new_tensor(float("nan"))

    def cells(self, outputs: Tensor) -> NoReturn:
        raise _untrained()

    def answering(self, outputs: Tensor, objects: Objects) -> NoReturn:
        raise _untrained()

    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> NoReturn:
        raise _untrained()

    def comparable(self, outputs: Tensor) -> NoReturn:
        raise _untrained()


class FinalHead(FlatHead):
    """The same, of which none is removed."""

    kind = Kind("final boxes of an exported file", averages=False, pairs=False, suppresses=False)


def _untrained() -> InvalidConfig:
    return InvalidConfig("An exported file is not trained.", "Use the student's weights.", {})
