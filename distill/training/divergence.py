"""When training has failed, and what to say about it."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from torch import Tensor

from distill.errors import AtChance, Diverged

EXPLODED = 100.0  # a window's mean loss this many times the first window's, twice in a row (**our choice**)
CHANCE_MIN_STEPS = 100  # a shorter run is not judged: it may be at chance for want of training
CHANCE_Z = 2.33  # one-sided 99 % of the normal distribution
REMEDY = (
    "Lower learning_rate (a third of it is a good first try) or set clip_norm to 1.0; if the norms of a chosen layer "
    "stand out, choose other teacher_layers or another selection."
)
CHANCE_REMEDY = (
    "Train for more epochs or with a higher learning_rate (three times it is a good first try), choose other "
    "teacher_layers or another recipe; if nothing helps, look at the labels: they may not belong to their samples."
)


class Guard:
    """Watches the training loss, window by window. `state` goes into checkpoints."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.high = 0
        self.last: deque[tuple[int, float]] = deque(maxlen=20)

    def check(self, step: int, loss: float) -> str | None:
        """None while all is well, else what is wrong."""
        self.last.append((step, loss))
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        self.first = loss if self.first is None else self.first
        self.high = self.high + 1 if loss > EXPLODED * max(self.first, 1e-12) else 0
        if self.high >= 2:
            return f"the loss rose from {self.first:.4g} to {loss:.4g}"
        return None

    def state(self) -> dict[str, Any]:
        return {"first": self.first, "high": self.high, "last": [list(item) for item in self.last]}

    def load(self, state: dict[str, Any]) -> None:
        self.first, self.high = state["first"], state["high"]
        self.last.extend((int(step), float(loss)) for step, loss in state["last"])

    def error(self, step: int, why: str, norms: dict[str, Any]) -> Diverged:
        return Diverged(f"Training diverged at step {step}: {why}.", REMEDY, self._details(step, why, norms))

    def at_chance(self, step: int, why: str, norms: dict[str, Any]) -> AtChance:
        message = f"The student stayed at chance in all its {step} steps: {why}."
        return AtChance(message, CHANCE_REMEDY, self._details(step, why, norms))

    def _details(self, step: int, why: str, norms: dict[str, Any]) -> dict[str, Any]:
        losses = [{"step": step, "loss": _plain(loss)} for step, loss in self.last]
        return {"step": step, "reason": why, "last_losses": losses, "layer_norms": norms}


def chance_threshold(majority: float, count: int) -> float:
    """The highest accuracy that guessing the commonest class (share `majority`) of `count` validation samples
    reaches with 99 % probability: p + 2.33 sqrt(p (1 - p) / n). Above it nobody guesses; at or below it the student's
    own predictions must tell: `guesses`. It may exceed 1."""
    return majority + CHANCE_Z * math.sqrt(majority * (1 - majority) / max(count, 1))


def guessing_limit(labels: Tensor, predictions: Tensor) -> float:
    """The highest accuracy that predictions which know nothing of the labels reach with 99 % probability.

        e + 2.33 sqrt(v) + 1 / (2 n),   e = sum_k p_k q_k,   v = (e + e^2 - sum_k p_k q_k (p_k + q_k)) / (n - 1)

    p, q: shares of the classes among the n labels and among the predictions, given as counts (C,). e and v are mean
    and variance of the accuracy when the predictions are dealt to the samples at random (the null of Cohen's kappa:
    Fleiss, Cohen and Everitt 1969); half a sample is the continuity correction. Always the same class: v = 0 and the
    limit is half a sample above that class's share. Where lots would hit less than one sample of the rare classes, up
    to 5 % pass instead of 1 %. **Our choice** of test."""
    count = int(labels.sum())
    p, q = labels.double() / count, predictions.double() / count
    expected = (p * q).sum()
    variance = (expected + expected.square() - (p * q * (p + q)).sum()).clamp(min=0) / max(count - 1, 1)
    return float(expected + CHANCE_Z * variance.sqrt()) + 0.5 / count


def guesses(accuracy: float, labels: Tensor, predictions: Tensor) -> float | None:
    """The limit that `accuracy` does not exceed, where a student is at chance; None where it knows something.

    Where even the labels themselves would not pass (too few samples, or one class alone) nobody is judged."""
    if guessing_limit(labels, labels) >= 1:
        return None
    limit = guessing_limit(labels, predictions)
    return limit if accuracy <= limit else None


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no NaN
