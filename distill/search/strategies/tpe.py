"""Points like those that did well: tree-structured Parzen estimators (Bergstra et al., NeurIPS 2011)."""

from __future__ import annotations

from typing import Any, ClassVar

from optuna.samplers import BaseSampler, TPESampler

from distill.parameters import validated
from distill.search.plan import Plan
from distill.search.strategy import Strategy

PARAMETERS: dict[str, dict[str, Any]] = {
    "startup": {
        "type": "integer",
        "default": 10,
        "minimum": 1,
        "maximum": 10_000,
        "description": "So many points are drawn evenly first.",
    },
    "multivariate": {
        "type": "boolean",
        "default": False,
        "description": "Model places together instead of each for itself.",
    },
}


class Tpe(Strategy):
    """Optuna's `TPESampler`; of several objectives its non-dominated sorting. A point that runs counts as a bad one
    until it is done, so that points side by side differ."""

    learns: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(self, plan: Plan, startup: int = 10, multivariate: bool = False) -> None:
        super().__init__(plan)
        self.startup, self.multivariate = startup, multivariate

    def sampler(self, seed: int) -> BaseSampler:
        # Groups: with conditions not every point has every place.
        together: dict[str, Any] = {"multivariate": True, "group": True} if self.multivariate else {}
        return TPESampler(seed=seed, n_startup_trials=self.startup, constant_liar=True, **together)


ENTRY = Tpe
