"""scikit-learn's digits as encoded pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def pictures(count: int) -> tuple[list[bytes | None], list[int]]:
    """PNG files of 8 x 8, grey, with their labels."""
    found = load_digits()
    made: list[bytes | None] = []
    for pixels in found.images[:count]:
        out = io.BytesIO()
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(out, "PNG")
        made.append(out.getvalue())
    return made, found.target[:count].tolist()
