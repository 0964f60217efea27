"""Labels, and whom each sample is close to, as probabilities, at the deepest pair of layers."""

from __future__ import annotations

from typing import Any

from distill import losses
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.relational import Relational
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "transfer_weight": {
        "type": "number",
        "minimum": 0,
        "default": 30000.0,
        "description": "Weight of the divergence of the similarities, a mean over all pairs of samples.",
    },
    **LABEL_WEIGHT,
}


class PKT(Relational):
    """L = cross_entropy_weight * CE + transfer_weight * PKT(F_s, F_t): probabilistic knowledge transfer (Passalis and
    Tefas, ECCV 2018, arXiv 1803.10837); the term is `distill.losses.pkt`.

    F: the deepest pair's features averaged over their positions, (n, c). Defaults: weight 30,000 beside labels 1, and
    the last feature alone, as in HobbitLong/RepDistiller (`scripts/run_cifar_distill.sh`, `helper/loops.py`).
    """

    @validated(PARAMETERS)
    def __init__(self, setup: Setup, transfer_weight: float = 30000.0, cross_entropy_weight: float = 1.0) -> None:
        super().__init__(setup, losses.get("pkt")(), transfer_weight, cross_entropy_weight)


ENTRY = PKT
