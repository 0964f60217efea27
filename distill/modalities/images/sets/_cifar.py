"""CIFAR's Python batches as torchvision downloads them: pickles, read with an unpickler that knows arrays only."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import InvalidDataset

_ALLOWED = frozenset({("ndarray", "numpy"), ("dtype", "numpy"), ("encode", "_codecs")})


class _ArraysOnly(pickle.Unpickler):
    """Dictionaries, lists, strings, numbers and numpy arrays: every other name that a pickle asks for is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return super().find_class("numpy._core.multiarray", name)
        if (name, module) in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR batch")


def read_batches(folder: Path, files: tuple[str, ...], key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (n, 32, 32, 3) and labels (n) of the batches in order."""
    pixels, labels = [], []
    for file in files:
        batch = read_pickle(folder / file)
        try:
            pixels.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(np.asarray(batch[key], np.int64))
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidDataset(f"{file} is no CIFAR batch.", "Download the dataset again.") from error
    return np.concatenate(pixels), np.concatenate(labels)


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a batch or meta file."""
    try:
        with path.open("rb") as file:
            data: dict[str, Any] = _ArraysOnly(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InvalidDataset(f"{path.name} cannot be read: {error}.", "Download the dataset again.") from error
    if not isinstance(data, dict):
        raise InvalidDataset(f"{path.name} is no CIFAR file.", "Download the dataset again.")
    return data
