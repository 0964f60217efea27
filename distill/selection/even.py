"""Standard layers: k at even relative depths, the last one the deepest layer."""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates, even_positions
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def even(curve: QCurve, k: int) -> tuple[int, ...]:
    return even_positions(len(candidates(curve, k)), k)


ENTRY = even
