"""One pair a resolution: the layer of highest Q of every feature size, of highest S in the deepest backbone stage.

Layers of the backbone (up to its deepest block) are grouped by the size of their feature without the channels: (h, w)
of maps. Of more groups than k the deepest k count; of fewer, the best by Q of the layers left fill up, those of the
backbone first. Networks of one resolution (a ViT) so get the highest Q with their most separating layer.
**Our choice**. Ties go to the deeper layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from distill.selection._rule import candidates, top
from distill.selection._student import backbone_length
from distill.types import LayerQuality, QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def per_resolution(curve: QCurve, k: int) -> tuple[int, ...]:
    """Indices in depth order, from the deepest k resolutions of the backbone."""
    layers = candidates(curve, k)
    end = backbone_length(layers)
    stages = [tuple(group) for _, group in groupby(layers[:end], key=_resolution)][-k:]
    chosen = [top(stage, 1, lambda layer: layer.quality)[0] for stage in stages[:-1]]
    chosen += top(stages[-1], 1, lambda layer: layer.separation)
    for pool in (layers[:end], layers[end:]):
        left = [layer for layer in pool if layer.index not in chosen]
        chosen += top(left, k - len(chosen), lambda layer: layer.quality)
    return tuple(sorted(chosen))


def _resolution(layer: LayerQuality) -> tuple[int, ...]:
    """(h, w) of a map, (t,) of tokens, () of a vector; a map of equal last axes is (c, h, w), else (h, w, c) where the
    first axes agree."""
    shape: Sequence[int] = layer.shape
    if len(shape) == 3 and shape[1] != shape[2] and shape[0] == shape[1]:
        return tuple(shape[:2])
    return tuple(shape[1:]) if len(shape) == 3 else tuple(shape[:-1])


ENTRY = per_resolution
