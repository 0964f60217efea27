"""How long the steps of a short training take."""

from __future__ import annotations

import time

from distill.types import Event

WARM_STEPS = 2


class StepTimes:
    """Times a short training: a step, and all beside the steps."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.whole = 0.0

    def see(self, event: Event) -> None:
        if event.kind == "progress":
            self.at.setdefault(int(event.data["step"]), time.monotonic())

    def end(self, whole: float) -> None:
        self.whole = whole

    @property
    def known(self) -> bool:
        return bool(self.at)

    @property
    def step_seconds(self) -> float:
        steps = sorted(step for step in self.at if step >= WARM_STEPS) or sorted(self.at)
        if len(steps) < 2:
            return self.whole / max(1, max(steps, default=1))
        return (self.at[steps[-1]] - self.at[steps[0]]) / (steps[-1] - steps[0])

    @property
    def fixed_seconds(self) -> float:
        return max(0.0, self.whole - max(self.at, default=0) * self.step_seconds)
