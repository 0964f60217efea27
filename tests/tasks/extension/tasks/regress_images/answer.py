"""One number a sample: mean square error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from distill.answers import Answer, Compared, Distance, logits_of


class NumberAnswer(Answer):
    """Outputs (n, 1), labels (n,) float."""

    loss_name, primary, higher_is_better = "squared_error", "rmse", False

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        return Compared(logits_of(output), labels, targets or {})

    def loss(self, compared: Compared) -> Tensor:
        return (compared.outputs.float()[:, 0] - compared.labels).square().mean()

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """Numbers have no distribution to soften: the square of the difference stands for every distance."""
        return (compared.outputs.float() - compared.targets["logits"].float()).square().mean()

    def weight(self, labels: Tensor) -> int:
        return len(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"squares": (outputs.detach().double()[:, 0] - labels).square().sum()}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        return {"rmse": float(sums["squares"] / count) ** 0.5}
