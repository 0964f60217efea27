"""Ablation: the k layers of highest sqrt(I E), Q without separation."""

from __future__ import annotations

import math
from typing import Any

from distill.selection._rule import top_rule

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = top_rule(lambda layer: math.sqrt(max(layer.information * layer.efficiency, 0.0)))
