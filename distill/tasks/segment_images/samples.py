"""An opened dataset for training: images and class maps, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.sources import UnreadableImage
from distill.tasks._images.framed_samples import FramedDataset, FramedSamples
from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.opening import Raw, Split, open_raw
from distill.types import DatasetInput


class Samples(FramedSamples):
    """Images with their masks."""

    split: Split

    def __init__(self, split: Split) -> None:
        super().__init__(split, split.pixels)

    def pair(self, i: int) -> tuple[Image.Image, NDArray[np.int16]]:
        """Image i, mode L or RGB, and its classes (h, w). Raises `InvalidDataset` where they cannot be read."""
        name = self.split.images.name(i)
        try:
            return self.split.images.image(i), self.split.masks.classes(i)
        except UnreadableImage as error:
            raise self.unreadable(i, f"Image {name!r} or its mask", error) from error


@dataclass(frozen=True, slots=True)
class Dataset(FramedDataset):
    """`digest`: sha256 over classes and content of both splits. `notes`: what was decided on opening."""

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    train: Samples
    test: Samples
    digest: str
    notes: tuple[str, ...]


def open_dataset(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Dataset:
    """Raises `InvalidDataset`."""
    raw: Raw = open_raw(dataset, limits, scratch)
    return Dataset(
        raw.name, raw.classes, raw.legend.coloured(), Samples(raw.train), Samples(raw.test), raw.digest, raw.notes
    )
