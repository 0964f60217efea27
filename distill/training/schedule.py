"""Schedules of the learning rate, each a pure function of the step: a resumed run needs only the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from distill.training.plan import Descent, Length
from distill.types import DistillConfig

BETA_LOW, BETA_HIGH = 0.85, 0.95  # torch's OneCycleLR cycles AdamW's beta1 between these, against the learning rate
INITIAL_DIVISOR, FINAL_DIVISOR = 25.0, 1e4  # torch's OneCycleLR defaults
WARM_UP_START = 0.01  # of the peak: where a linear warm-up begins, **our choice**

Schedule = Callable[[int], tuple[float, float | None]]
"""Step in 0..total_steps-1 -> learning rate, and beta1 or momentum; None: that stays as it is."""


@dataclass(frozen=True)
class OneCycle:
    """Learning rate and beta1 at a step in 0..total_steps-1: cosine from peak/25 up to the peak, then down to
    peak/25/1e4; beta1 from 0.95 down to 0.85 and back. Equal to `torch.optim.lr_scheduler.OneCycleLR`, but stateless,
    so a resumed run needs only the step. `warmup_fraction` 0 starts at the peak."""

    peak: float
    total_steps: int
    warmup_fraction: float = 0.3

    def __call__(self, step: int) -> tuple[float, float]:
        start = self.peak / INITIAL_DIVISOR
        top = self.warmup_fraction * self.total_steps - 1
        if step <= top and top > 0:
            return _cosine(start, self.peak, step / top), _cosine(BETA_HIGH, BETA_LOW, step / top)
        top = max(top, 0.0)
        done = (step - top) / max(self.total_steps - 1 - top, 1)
        return _cosine(self.peak, start / FINAL_DIVISOR, done), _cosine(BETA_LOW, BETA_HIGH, done)


@dataclass(frozen=True)
class WarmUp:
    """`rate(step)` times what rises linearly from 1 % to 1 in `steps`: `torch.optim.lr_scheduler.LinearLR` of that
    start factor, chained to the schedule itself."""

    steps: int
    rate: Callable[[int], float]

    def __call__(self, step: int) -> tuple[float, float | None]:
        up = WARM_UP_START + (1 - WARM_UP_START) * step / self.steps if step < self.steps else 1.0
        return self.rate(step) * up, None


def cosine(peak: float, total_steps: int, first: int) -> Callable[[int], float]:
    """The peak up to step `first`, then down to 0 at `total_steps`, as `torch.optim.lr_scheduler.CosineAnnealingLR`."""
    return lambda step: _cosine(peak, 0.0, max(step - first, 0) / max(total_steps - first, 1))


def multi_step(peak: float, milestones: list[int], gamma: float) -> Callable[[int], float]:
    """peak * gamma^(milestones reached), milestones in steps, as `torch.optim.lr_scheduler.MultiStepLR`."""
    return lambda step: peak * gamma ** sum(step >= milestone for milestone in milestones)


def schedule(config: DistillConfig, descent: Descent, peak: float, length: Length) -> Schedule:
    """The run's own."""
    total = length.total_steps
    if config.schedule == "one_cycle":
        return OneCycle(peak, total, descent.warmup_fraction)
    first = round(descent.warmup_fraction * total)
    steps = [round(epochs * length.steps_per_epoch) for epochs in descent.milestones or ()]
    rates: dict[str, Callable[[int], float]] = {
        "cosine": cosine(peak, total, first),
        "multi_step": multi_step(peak, steps, config.gamma),
        "constant": lambda _: peak,
    }
    return WarmUp(first, rates[config.schedule])


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
