"""When training has failed, and what to say about it."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from distill.errors import Diverged

EXPLODED = 100.0  # a window's mean loss this many times the first window's, twice in a row (**our choice**)
CHANCE_MIN_STEPS = 100  # a shorter run is not judged: it may be at chance for want of training
CHANCE_Z = 2.33  # one-sided 99 % of the normal distribution
REMEDY = (
    "Lower learning_rate (a third of it is a good first try) or set clip_norm to 1.0; if the norms of a chosen layer "
    "stand out, choose other teacher_layers or another selection."
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
        losses = [{"step": step, "loss": _plain(loss)} for step, loss in self.last]
        details = {"step": step, "reason": why, "last_losses": losses, "layer_norms": norms}
        return Diverged(f"Training diverged at step {step}: {why}.", REMEDY, details)


def chance_threshold(majority: float, count: int) -> float:
    """The highest accuracy that guessing the commonest class (share `majority`) of `count` validation samples
    reaches with 99 % probability: p + 2.33 sqrt(p (1 - p) / n). At or below it a student has learnt nothing."""
    return majority + CHANCE_Z * math.sqrt(majority * (1 - majority) / max(count, 1))


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no NaN
