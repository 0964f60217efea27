"""The layers you name, by module name or by index; k is their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.errors import InvalidConfig, UnknownName
from distill.selection._rule import candidates
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {
    "layers": {
        "type": "array",
        "items": {"type": ["string", "integer"]},
        "minItems": 1,
        "uniqueItems": True,
        "description": "Layer names or indices of the Q curve, in any order.",
    },
}


def explicit(curve: QCurve, k: int, layers: Sequence[str | int] = ()) -> tuple[int, ...]:
    """Indices of the named layers in depth order; `k` is not used, the list says how many.

    Raises `UnknownName` for a name that the curve lacks, `InvalidConfig` for an empty list or a layer named twice.
    """
    del k
    if not layers:
        raise InvalidConfig("The rule `explicit` names no layers.", "Give `layers`: names or indices of the curve.")
    known = {layer.name: layer.index for layer in candidates(curve, 1)}
    chosen = [_index(layer, known) for layer in layers]
    if len(set(chosen)) != len(chosen):
        raise InvalidConfig("The rule `explicit` names a layer twice.", "Name each layer once.", {"layers": [*layers]})
    return tuple(sorted(chosen))


def _index(layer: str | int, known: dict[str, int]) -> int:
    if isinstance(layer, int) and layer in known.values():
        return layer
    if layer not in known:
        raise UnknownName("layer", str(layer), known)
    return known[str(layer)]


ENTRY = explicit
