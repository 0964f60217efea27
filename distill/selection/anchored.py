"""Highest Q below an anchor: the layer of highest separation S is the deepest pair, the others are the best by Q.

With few layers the literal top k by Q can leave the deep end out; the head then sees features that do not separate the
classes. So the deepest pair is fixed where the teacher separates best, and the k - 1 layers of highest Q before it
join. Where fewer than k - 1 layers lie before it, the best by Q of those after it fill up. **Our choice**, see
docs/q-curve.md. Ties go to the deeper layer.
"""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates, top
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def anchored(curve: QCurve, k: int) -> tuple[int, ...]:
    """Indices in depth order, the layer of highest S among them."""
    layers = candidates(curve, k)
    (anchor,) = top(layers, 1, lambda layer: layer.separation)
    before = top(layers[:anchor], k - 1, lambda layer: layer.quality)
    after = top(layers[anchor + 1 :], k - 1 - len(before), lambda layer: layer.quality)
    return (*before, anchor, *after)


ENTRY = anchored
