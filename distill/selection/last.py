"""The k deepest layers."""

from __future__ import annotations

from typing import Any

from distill.selection._rule import candidates
from distill.types import QCurve

PARAMETERS: dict[str, dict[str, Any]] = {}


def last(curve: QCurve, k: int) -> tuple[int, ...]:
    total = len(candidates(curve, k))
    return tuple(range(total - k, total))


ENTRY = last
