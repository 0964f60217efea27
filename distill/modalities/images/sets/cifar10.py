"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 in 10 classes (Krizhevsky 2009), as torchvision downloads it."""

from __future__ import annotations

from distill.modalities.images.sets._base import NamedSet, find_folder
from distill.modalities.images.sets._cifar import read_batches

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDERS = ("cifar-10-batches-py",)
_REMEDY = "Put torchvision's CIFAR10 download (the folder cifar-10-batches-py) under RETORT_DATA_DIR."
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))


def read() -> NamedSet:
    """From the six batches."""
    folder = find_folder("cifar10", FOLDERS, "test_batch", _REMEDY)
    splits = {split: read_batches(folder, files, "labels") for split, files in _FILES.items()}
    return NamedSet(_CLASSES, splits)


_FILES = {"train": _TRAIN, "test": ("test_batch",)}
ENTRY = read
