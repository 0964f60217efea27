"""Successive halving at several first rungs, in case few epochs mislead (Li et al., JMLR 2018)."""

from __future__ import annotations

from typing import Any, ClassVar

from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import BaseSampler

from distill.parameters import validated
from distill.search.plan import Plan
from distill.search.strategy import Strategy, sampler_named

PARAMETERS: dict[str, dict[str, Any]] = {
    "min_epochs": {
        "type": "integer",
        "default": 1,
        "minimum": 1,
        "maximum": 100_000,
        "description": "Validations before a run of the keenest bracket may be given up.",
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


class Hyperband(Strategy):
    """Optuna's `HyperbandPruner` on the first objective: brackets of successive halving that begin at min_epochs eta^s,
    the last of them after all epochs of the job. A point's bracket is decided by its number."""

    prunes: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    one_objective: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(self, plan: Plan, min_epochs: int = 1, reduction_factor: int = 3, sampler: str = "random") -> None:
        super().__init__(plan)
        self.min_epochs, self.reduction_factor, self.draws = min_epochs, reduction_factor, sampler

    def sampler(self, seed: int) -> BaseSampler:
        return sampler_named(self.draws, seed)

    def pruner(self) -> BasePruner:
        most = max(self.plan.resource, self.min_epochs)
        return HyperbandPruner(self.min_epochs, most, self.reduction_factor)


ENTRY = Hyperband
