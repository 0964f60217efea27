"""A spread constraint: the layer of highest Q in each of k bands of equal depth, of highest S in the deepest band.

The bands end where the standard layers (`even`) stand, so the rule moves each standard layer by less than a band. The
deepest pair is what the detached head sees: there separation decides. **Our choice**. Ties go to the deeper layer.
"""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates, even_positions, top
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def banded(curve: QCurve, k: int) -> tuple[int, ...]:
    """Indices in depth order, one of every band."""
    layers = candidates(curve, k)
    ends = [end + 1 for end in even_positions(len(layers), k)]
    bands = [layers[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    best = [top(band, 1, lambda layer: layer.quality)[0] for band in bands[:-1]]
    return (*best, *top(bands[-1], 1, lambda layer: layer.separation))


ENTRY = banded
