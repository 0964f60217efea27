"""What every modality reads with: tables and members within limits, splits, strata and plans of batches.

Scripts of before images and texts had folders of their own import `inspect`, `open_dataset` and `distill.data.text`
from here; these names lead to `distill.modalities` still.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MOVED = frozenset({"DatasetReport", "Dataset", "Loader", "Samples", "inspect", "open_dataset"})


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        return getattr(import_module("distill.modalities.images"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
