"""Successive halving at several first rungs, in case few epochs mislead (Li et al., JMLR 2018)."""

from __future__ import annotations

from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner

from distill.search.halving import PARAMETERS as HALVING
from distill.search.halving import Halving

PARAMETERS: dict[str, dict[str, Any]] = {
    **HALVING,
    "min_epochs": {
        "type": "integer",
        "default": 1,
        "minimum": 1,
        "maximum": 100_000,
        "description": "Validations before a run of the keenest bracket may be given up.",
    },
}


class Hyperband(Halving):
    """Optuna's `HyperbandPruner` on the first objective: brackets of successive halving that begin at min_epochs eta^s,
    the last of them after all epochs of the job. A point's bracket is decided by its number."""

    def pruner(self) -> BasePruner:
        most = max(self.plan.resource, self.min_epochs)
        return HyperbandPruner(self.min_epochs, most, self.reduction_factor)


ENTRY = Hyperband
