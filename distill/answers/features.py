"""No answer: a network that gives a feature, of samples without labels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from distill.answers.base import Answer, Compared


class FeatureAnswer(Answer):
    """Outputs (n, d), labels that are all `NO_LABEL`: nothing but a teacher teaches, and the best student is that of
    the least loss on held-out samples."""

    primary: ClassVar[str] = "loss"
    higher_is_better: ClassVar[bool] = False
    taught: ClassVar[bool] = False

    def loss(self, compared: Compared) -> Tensor:
        """0, with a gradient of 0."""
        nothing: Tensor = compared.outputs[:0].float().sum()
        return nothing

    def weight(self, labels: Tensor) -> int:
        return len(labels)

    def no_fit(self) -> str:
        return "no sample has a label to fit it to"
