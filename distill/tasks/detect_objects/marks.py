"""What annotations say of a box beside its corners and its class: whether it counts, and an area. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from typing import Any

from distill.tasks.detect_objects.written import LeftOut, as_float, refuse

_NO = frozenset({"", "0", "false", "no", "unspecified", "none"})
_YES = frozenset({"1", "true", "yes"})


def marked(value: Any, what: str, where: str) -> bool:
    """Whether `iscrowd`, `ignore` or `difficult` is set: 1, true or yes, as a number, a truth value or text; 0, false,
    no or nothing is not. Raises `InvalidDataset` for anything else, since a box would count or not by chance."""
    said = "" if value is None else str(value).strip().lower().removesuffix(".0")
    if said in _YES:
        return True
    if said not in _NO:
        refuse(f"{what} of {where} is {str(value)[:40]!r}, neither 0 nor 1", f"Write {what} as 0 or 1.", field=what)
    return False


def area_of(value: Any) -> float:
    """Square pixels; NaN for what is no finite positive number."""
    found = as_float(value) if isinstance(value, int | float) and not isinstance(value, bool) else nan
    return found if isfinite(found) and found > 0 else nan


def odd_areas(names: Sequence[str], total: int) -> LeftOut:
    """Of `total` annotations those, by name, that state something as area that is none."""
    return LeftOut.of("annotations state an area that is no positive number; their boxes' own count", names, total)
