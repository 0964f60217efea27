"""Many points for a few epochs, the best for more: asynchronous successive halving (Li et al., MLSys 2020)."""

from __future__ import annotations

from optuna.pruners import BasePruner, SuccessiveHalvingPruner

from distill.search.halving import PARAMETERS as HALVING
from distill.search.halving import Halving

PARAMETERS = HALVING


class Asha(Halving):
    """Optuna's `SuccessiveHalvingPruner` on the first objective: at validation min_epochs eta^k a run goes on if its
    best value so far is among the best 1/eta of those that have come so far."""

    def pruner(self) -> BasePruner:
        return SuccessiveHalvingPruner(min_resource=self.min_epochs, reduction_factor=self.reduction_factor)


ENTRY = Asha
