"""How far two networks' masks of an image are from each other, and how that is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.tasks.segment_images.evaluate import Masks
from distill.tasks.segment_images.legend import Colour

APART = "Share of the image's labelled pixels for which student and teacher say different classes, from 0 to 1."
SHOWN = 5
"""Classes of a mask that are told by name."""


def differing(student: Masks, teacher: Masks) -> Tensor:
    """(n,) fp64 in [0, 1]; 0 of an image without labelled pixels."""
    shares = [(student.said(i) != teacher.said(i)).mean() if len(student.said(i)) else 0.0 for i in range(len(student))]
    return torch.tensor(shares, dtype=torch.double)


def shares(
    said: NDArray[np.int16], names: Sequence[str], palette: Sequence[Colour], most: int = SHOWN
) -> list[dict[str, object]]:
    """The `most` frequent classes of pixels (m,), with their share of them."""
    counts = np.bincount(said, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:most]
    return [
        {
            "label": names[i],
            "index": i,
            "share": float(counts[i] / max(1, counts.sum())),
            "colour": "#{:02x}{:02x}{:02x}".format(*palette[i]),
        }
        for i in order.tolist()
        if counts[i]
    ]


def painted(truth: NDArray[np.int16], said: NDArray[np.int16]) -> NDArray[np.int16]:
    """A mask of the truth's shape with what was said of its labelled pixels, -1 elsewhere."""
    mask = np.full_like(truth, -1)
    mask[truth >= 0] = said
    return mask


def side_by_side(image: Image.Image, others: Sequence[Image.Image]) -> Image.Image:
    """The image and, to its right, others of its size: a strip of 1 + len(others) pictures."""
    strip = Image.new("RGB", (image.width * (1 + len(others)), image.height))
    for place, each in enumerate((image.convert("RGB"), *others)):
        strip.paste(each, (place * image.width, 0))
    return strip
