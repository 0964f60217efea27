"""What the output of a detector means: boxes and scores, a loss on the labels, a divergence from a teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from distill.answers import Distance, logits_of
from distill.layers.forward import forward
from distill.models.points import Size
from distill.tasks.detect_objects.answering import Kind
from distill.tasks.detect_objects.levels import Levels
from distill.tasks.detect_objects.rows import Objects


@dataclass(frozen=True)
class Scored:
    """boxes: (..., P, K, 4) x1 y1 x2 y2 in pixels of the network's input, K one or the classes C: of each class its
    own. scores: (..., P, C) in [0, 1]."""

    boxes: Tensor
    scores: Tensor

    def flat(self) -> Tensor:
        """(..., Q, 4 + C): boxes and a score a class. Q is P where K is 1; else P C, each with the score of one class
        alone."""
        if self.boxes.shape[-2] == 1:
            return torch.cat([self.boxes[..., 0, :], self.scores], -1)
        scores = torch.diag_embed(self.scores)
        return torch.cat([self.boxes, scores], -1).flatten(-3, -2)


class Head(ABC):
    """One kind of detector. Its networks give outputs (n, ...) in fp32.

    `kind`: what is known of it without a network.
    """

    kind: ClassVar[Kind]

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """The head of a network of this kind."""
        return cls()

    def taught_by(self, teacher: nn.Module, output: Tensor, size: Size, own: Size) -> Self:
        """The same where a teacher of the same kind is asked about this student's answers. `output`: the teacher's, of
        a made-up input (1, ...); `size`: (height, width) of its input, `own` of the student's. Unless overridden
        nothing is asked."""
        return self

    def ask(self, teacher: nn.Module, given: Any) -> dict[str, Tensor]:
        """What of a teacher is compared, whose input is `given`: name -> tensor, first axis the batch."""
        return {"logits": logits_of(forward(teacher, given))}

    def levels(self, output: Tensor) -> Levels:
        """Of an output (n, ...)."""
        return Levels.of(*self.cells(output))

    @abstractmethod
    def classes(self, outputs: Tensor) -> int:
        """C; 0 or less for what is no output of such a network."""

    @abstractmethod
    def scored(self, outputs: Tensor) -> Scored:
        """The boxes of a batch, or of one image without the first axis, before those that overlap are removed."""

    @abstractmethod
    def cells(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Of outputs (n, ...) places (P, 2), x and y in pixels, and strides (P,) of what answers: of which the levels
        are made."""

    @abstractmethod
    def answering(self, outputs: Tensor, objects: Objects) -> Tensor:
        """(n, P) bool: what answers for an object."""

    @abstractmethod
    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """Scalar: the detector's own loss on the labels, a mean over the images."""

    @abstractmethod
    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> Tensor:
        """Scalar: how far the outputs are from a teacher's of the same kind, a mean over the images."""

    @abstractmethod
    def comparable(self, outputs: Tensor) -> tuple[tuple[int, ...], Tensor]:
        """What teacher and student must have in common so that their logits pair: a shape, and numbers that may differ
        by one factor, as inputs of two sizes make them. Of a made-up input's output (1, ...)."""
