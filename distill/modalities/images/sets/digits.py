"""Digits of scikit-learn: 1,797 grey images of 8 x 8 in 10 classes; part of the package, needs no download."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from distill.modalities.images.sets._base import NamedSet


def read() -> NamedSet:
    """Values 0 to 16 are spread to 0 to 255. There is no test split."""
    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return NamedSet(tuple(str(i) for i in range(10)), {"train": (pixels, data.target.astype(np.int64))})


ENTRY = read
