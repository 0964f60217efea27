"""Selection rules: which teacher layers to distil. One file an entry, named by its file. Listing imports no torch.

`get(rule)(curve, k, **parameters)` gives the indices of the chosen layers in depth order; `choose` marks them on the
curve; `student_layers` gives the student's side of the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from distill.registry import Registry
from distill.selection._rule import check_count, even_positions
from distill.selection._student import student_layers
from distill.types import QCurve

registry = Registry(__name__, __path__, "selection rule")
names = registry.names
get = registry.get


def choose(curve: QCurve, rule: str, k: int, parameters: Mapping[str, Any] | None = None) -> QCurve:
    """The curve with `chosen` and `rule` filled in. Raises `UnknownName`, and `InvalidConfig` for a k that does not
    fit or a curve that is not complete."""
    return replace(curve, chosen=get(rule)(curve, k, **(parameters or {})), rule=rule)


__all__ = ["check_count", "choose", "even_positions", "get", "names", "registry", "student_layers"]
