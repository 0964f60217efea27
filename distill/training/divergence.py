"""When training has failed, and what to say about it."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import torch

from distill.errors import AtChance, Diverged

EXPLODED = 100.0  # a window's mean loss this many times the first window's, twice in a row (**our choice**)
CHANCE_MIN_STEPS = 100  # a shorter run is not judged: it may be at chance for want of training
REMEDY = (
    "Lower learning_rate (a third of it is a good first try) or set clip_norm to 1.0; if the norms of a chosen layer "
    "stand out, choose other teacher_layers or another selection. Where precision is fp16, whose largest number is "
    "65504, try bf16 or fp32."
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

    def overflown(self, scaler: torch.amp.GradScaler) -> str | None:
        """None while gradients fit fp16 at some scale above 1, else what is wrong: each step was left out."""
        if not scaler.is_enabled() or scaler.get_scale() >= 1:
            return None
        return "the gradient overflows fp16 at every scale of the loss"

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


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no NaN
