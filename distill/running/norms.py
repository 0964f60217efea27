"""Feature norms of the chosen layers, for the message of a run that diverged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from distill.errors import LayersNotFound
from distill.layers import run_until
from distill.running.pairs import Pairs
from distill.running.session import Session
from distill.types import QCurve

HIGH_NORM = 10.0  # times the median layer's root mean square (**our choice**)


@torch.no_grad()
def layer_norms(network: nn.Module, names: Iterable[str], inputs: Any) -> dict[str, float | str]:
    """Layer -> root mean square of its features on one batch, in the network's present mode; NaN, infinity as text."""
    found = run_until(network, names, inputs)
    return {name: _plain(float(found[name].float().square().mean().sqrt())) for name in names}


def _plain(value: float) -> float | str:
    return value if abs(value) < float("inf") else str(value)


def norms_of(session: Session) -> Callable[[Any], dict[str, Any]] | None:
    """Measures the chosen layers of both networks on a training batch. None for recipes without layers."""
    pairs = session.pairs
    if pairs is None:
        return None

    def measure(batch: Any) -> dict[str, Any]:
        norms: dict[str, Any] = {}
        try:
            norms["student"] = layer_norms(session.task.student.module, pairs.student_names, batch.student)
            if batch.teacher is not None:
                norms["teacher"] = layer_norms(session.teacher.module, pairs.teacher_names, batch.teacher)
        except LayersNotFound as error:  # the error that called for the norms must not be hidden by this one
            norms["unavailable"] = error.message
        return norms

    return measure


def high_norms(curve: QCurve, pairs: Pairs) -> list[str]:
    """Chosen teacher layers whose features are far larger than the others': the projected loss may diverge on them.

    Compared is mean_norm / sqrt(D), the root mean square, with the median over the curve's layers.
    """
    sizes = {layer.name: layer.mean_norm / max(1, torch.Size(layer.shape).numel()) ** 0.5 for layer in curve.layers}
    if not sizes:
        return []
    median = sorted(sizes.values())[len(sizes) // 2]
    return [name for name in pairs.teacher_names if sizes.get(name, 0.0) > HIGH_NORM * median > 0]
