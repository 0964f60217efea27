"""Many points for a few epochs, the best for more: asynchronous successive halving (Li et al., MLSys 2020)."""

from __future__ import annotations

from typing import Any, ClassVar

from optuna.pruners import BasePruner, SuccessiveHalvingPruner
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


class Asha(Strategy):
    """Optuna's `SuccessiveHalvingPruner` on the first objective: at validation min_epochs eta^k a run goes on if it is
    among the best 1/eta of those that have come so far."""

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
        return SuccessiveHalvingPruner(min_resource=self.min_epochs, reduction_factor=self.reduction_factor)


ENTRY = Asha
