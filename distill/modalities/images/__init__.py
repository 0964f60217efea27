"""Images: opened safely from untrusted files, split, inspected, and fed to training.

`inspect` and `DatasetReport` need no torch; the rest does, so everything here loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.modalities.images.loader import Augmentation, Batch, Loader
    from distill.modalities.images.report import DatasetReport, inspect
    from distill.modalities.images.samples import Dataset, Samples, open_dataset

__all__ = [
    "Augmentation",
    "Batch",
    "Dataset",
    "DatasetReport",
    "Loader",
    "Samples",
    "inspect",
    "open_dataset",
]

_HOMES = {
    "loader": ("Augmentation", "Batch", "Loader"),
    "report": ("DatasetReport", "inspect"),
    "samples": ("Dataset", "Samples", "open_dataset"),
}


def __getattr__(name: str) -> Any:
    for module, members in _HOMES.items():
        if name in members:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
