"""What the rules share: a check of k, the k best layers by a value, and k layers at even depths. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from distill.errors import InvalidConfig
from distill.types import LayerQuality, QCurve


class Rule(Protocol):
    """A selection rule: k layers of a complete curve, as indices in depth order."""

    def __call__(self, curve: QCurve, k: int) -> tuple[int, ...]: ...


def candidates(curve: QCurve, k: int) -> tuple[LayerQuality, ...]:
    """The curve's layers, once it is known that k of them can be chosen."""
    if not curve.complete:
        raise InvalidConfig(
            f"The curve is partial: {len(curve.layers)} of {curve.total_layers} layers are scored.",
            "Select after scoring has finished.",
        )
    check_count(k, len(curve.layers), "teacher")
    return curve.layers


def check_count(k: int, available: int, side: str) -> None:
    """Raise `InvalidConfig` unless 1 <= k <= available."""
    if not 1 <= k <= available:
        raise InvalidConfig(
            f"{k} layers were asked for, and the {side} has {available}.",
            f"Set `layers` to a number from 1 to {available}.",
            {"layers": k, "available": available, "side": side},
        )


def top(layers: Sequence[LayerQuality], k: int, value: Callable[[LayerQuality], float]) -> tuple[int, ...]:
    """Indices of the k layers of highest value, in depth order; ties go to the deeper layer."""
    ranked = sorted(layers, key=lambda layer: (value(layer), layer.index), reverse=True)
    return tuple(sorted(layer.index for layer in ranked[:k]))


def top_rule(value: Callable[[LayerQuality], float]) -> Rule:
    """The rule that takes the k layers of highest `value`."""

    def rule(curve: QCurve, k: int) -> tuple[int, ...]:
        return top(candidates(curve, k), k, value)

    return rule


def even_positions(available: int, k: int) -> tuple[int, ...]:
    """k positions of 0..available-1 at relative depths 1/k, 2/k, ..., 1: ceil(available (j + 1) / k) - 1."""
    return tuple(math.ceil(available * (j + 1) / k) - 1 for j in range(k))
