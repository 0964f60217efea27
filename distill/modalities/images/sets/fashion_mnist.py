"""Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 in 10 classes (Xiao et al. 2017, MIT licence)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.errors import InvalidDataset
from distill.modalities.images.sets._base import NamedSet, find_folder

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FOLDERS = ("fashion-mnist", "FashionMNIST/raw", "/usr/share/datasets/fashion-mnist")
REMEDY = (
    "Install Debian's dataset-fashion-mnist, or put the four IDX files of torchvision's FashionMNIST download under "
    "RETORT_DATA_DIR/FashionMNIST/raw."
)
_MOST_BYTES = 2**28


def read() -> NamedSet:
    """From the four IDX files, gzipped or not."""
    folder = find_folder("fashion-mnist", FOLDERS, "train-images-idx3-ubyte", REMEDY)
    splits = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        pixels = read_idx(folder / f"{prefix}-images-idx3-ubyte", dimensions=3)
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte", dimensions=1).astype(np.int64)
        if len(pixels) != len(labels) or labels.max(initial=0) >= len(_CLASSES):
            raise InvalidDataset(f"Images and labels of fashion-mnist's {split} split do not match.", REMEDY)
        splits[split] = (pixels, labels)
    return NamedSet(_CLASSES, splits)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes: 0, 0, 8, number of axes; each axis' size as 4 bytes big-endian; the values."""
    try:
        if path.is_file():
            with path.open("rb") as plain:
                data = plain.read(_MOST_BYTES)
        else:
            with gzip.open(f"{path}.gz") as packed:
                data = packed.read(_MOST_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidDataset(f"{path.name} cannot be read: {error}.", REMEDY) from error
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) != start + int(np.prod(shape, dtype=np.int64)):
        raise InvalidDataset(f"{path.name} is no complete IDX file of bytes.", REMEDY)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


ENTRY = read
