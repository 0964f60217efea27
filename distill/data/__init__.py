"""Image classification data: opened safely from untrusted files, split, inspected, and fed to training.

`inspect`, `Limits` and `DatasetReport` need no torch; the rest does, so everything here loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.data.limits import Limits
    from distill.data.loader import Augmentation, Batch, Loader
    from distill.data.report import DatasetReport, inspect
    from distill.data.samples import Dataset, Samples, open_dataset
    from distill.data.splits import stratified_sample, stratified_split

__all__ = [
    "Augmentation",
    "Batch",
    "Dataset",
    "DatasetReport",
    "Limits",
    "Loader",
    "Samples",
    "inspect",
    "open_dataset",
    "stratified_sample",
    "stratified_split",
]

_HOMES = {
    "limits": ("Limits",),
    "loader": ("Augmentation", "Batch", "Loader"),
    "report": ("DatasetReport", "inspect"),
    "samples": ("Dataset", "Samples", "open_dataset"),
    "splits": ("stratified_sample", "stratified_split"),
}


def __getattr__(name: str) -> Any:
    for module, members in _HOMES.items():
        if name in members:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
