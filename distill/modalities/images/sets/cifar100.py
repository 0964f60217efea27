"""CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 in 100 classes (Krizhevsky 2009), as torchvision downloads it."""

from __future__ import annotations

from distill.modalities.images.sets._base import NamedSet, find_folder
from distill.modalities.images.sets._cifar import read_batches, read_pickle

FOLDERS = ("cifar-100-python",)
_REMEDY = "Put torchvision's CIFAR100 download (the folder cifar-100-python) under RETORT_DATA_DIR."


def read() -> NamedSet:
    """From the two batches; the fine labels and their names."""
    folder = find_folder("cifar100", FOLDERS, "train", _REMEDY)
    splits = {split: read_batches(folder, (split,), "fine_labels") for split in ("train", "test")}
    return NamedSet(tuple(read_pickle(folder / "meta")["fine_label_names"]), splits)


ENTRY = read
