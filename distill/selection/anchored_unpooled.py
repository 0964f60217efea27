"""As `anchored`, but the anchor is the highest separation among layers that compute: never one that only pools.

Averaging a map over its positions raises the separation without adding knowledge, so in a ResNet `anchored` takes the
pooled feature, and the deepest pair loses its positions. Here the anchor is the deepest block there, and still the
fully connected activation that separates best in a VGG. The k - 1 layers of highest Q before the anchor join; where
fewer lie before it, the best by Q of those after it fill up. **Our choice**. Ties go to the deeper layer.
"""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates, top
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}
_POOLING = frozenset({"pooled", "flatten"})


def anchored_unpooled(curve: QCurve, k: int) -> tuple[int, ...]:
    """Indices in depth order, the computing layer of highest S among them."""
    layers = candidates(curve, k)
    computing = [layer for layer in layers if layer.kind not in _POOLING]
    (anchor,) = top(computing or layers, 1, lambda layer: layer.separation)
    before = top(layers[:anchor], k - 1, lambda layer: layer.quality)
    after = top(layers[anchor + 1 :], k - 1 - len(before), lambda layer: layer.quality)
    return (*before, anchor, *after)


ENTRY = anchored_unpooled
