"""Highest Q below the deepest block, and that block: the deepest pair joins the ends of both backbones.

The student's last distilled layer is its deepest block (`student_layers`); here the teacher's is too, so the deepest
pair means the same on both sides, and what follows (pooled feature, fully connected layers) belongs to the heads. The
k - 1 layers of highest Q before it join; where fewer lie before it, the best by Q of those after it fill up.
**Our choice**. Ties go to the deeper layer.
"""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates, top
from distill.selection._student import backbone_length
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def anchored_block(curve: QCurve, k: int) -> tuple[int, ...]:
    """Indices in depth order, the deepest block of the backbone among them."""
    layers = candidates(curve, k)
    end = backbone_length(layers) - 1
    before = top(layers[:end], k - 1, lambda layer: layer.quality)
    after = top(layers[end + 1 :], k - 1 - len(before), lambda layer: layer.quality)
    return (*before, end, *after)


ENTRY = anchored_block
