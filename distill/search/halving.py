"""What the strategies share that give up runs by successive halving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, ClassVar

from optuna.samplers import BaseSampler

from distill.parameters import validated
from distill.search.plan import Plan, Tried
from distill.search.strategy import Strategy, sampler_named

PARAMETERS: dict[str, dict[str, Any]] = {
    "min_epochs": {
        "type": "integer",
        "default": 1,
        "minimum": 1,
        "maximum": 100_000,
        "description": "Validations before a run may be given up.",
    },
    "reduction_factor": {
        "type": "integer",
        "default": 3,
        "minimum": 2,
        "maximum": 100,
        "description": "eta: one of so many goes on at each rung.",
    },
    "sampler": {
        "type": "string",
        "enum": ["random", "tpe"],
        "default": "random",
        "description": "What draws the points.",
    },
}


class Halving(Strategy):
    """Judges by the best value of the first objective so far, after `min_epochs` validations at the earliest: a run
    keeps its best student, and a single validation is noise (**our choice**; benchmarks/results/study-halving.md)."""

    prunes: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    one_objective: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(self, plan: Plan, min_epochs: int = 1, reduction_factor: int = 3, sampler: str = "random") -> None:
        super().__init__(plan)
        self.min_epochs, self.reduction_factor, self.draws = min_epochs, reduction_factor, sampler

    def sampler(self, seed: int) -> BaseSampler:
        return sampler_named(self.draws, seed)

    def judge(self, tried: Sequence[Tried], number: int, reported: dict[int, float]) -> tuple[bool, Tried]:
        better = max if self.plan.directions[0] == "maximize" else min
        steps = sorted(reported)
        best = accumulate((reported[step] for step in steps), better)
        ended, after = super().judge(tried, number, dict(zip(steps, best, strict=True)))
        return ended, replace(
            after, reported={step: reported.get(step, after.reported[step]) for step in after.reported}
        )
