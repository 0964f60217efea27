"""Labels, and distances and angles between samples, at the deepest pair of layers."""

from __future__ import annotations

from typing import Any

from distill import losses
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.relational import Relational
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "distance_weight": {
        "type": "number",
        "minimum": 0,
        "default": 25.0,
        "description": "Weight of the distances between pairs of samples.",
    },
    "angle_weight": {
        "type": "number",
        "minimum": 0,
        "default": 50.0,
        "description": "Weight of the angles between triples of samples.",
    },
    **LABEL_WEIGHT,
}


class RKD(Relational):
    """L = cross_entropy_weight * CE + distance_weight * RKD-D + angle_weight * RKD-A: relational knowledge distillation
    (Park et al., CVPR 2019, arXiv 1904.05068); both terms are those of `distill.losses.rkd`.

    F: the deepest pair's features averaged over their positions, (n, c). Defaults: 25 and 50 beside labels 1, and the
    last feature alone, as in HobbitLong/RepDistiller (`distiller_zoo/RKD.py`, `helper/loops.py`).
    """

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, losses.get("rkd").weighing(distance_weight, angle_weight), 1.0, cross_entropy_weight)


ENTRY = RKD
