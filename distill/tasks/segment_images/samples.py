"""An opened dataset for training: images and class maps, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.data.limits import DEFAULT, Limits
from distill.data.stratify import rarest
from distill.errors import InvalidDataset
from distill.modalities.images.sources import UnreadableImage
from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.opening import Raw, Split, open_raw
from distill.types import DatasetInput


class Samples:
    """Images with their masks, of one split. Can be sent to a worker process."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.strata: Tensor = torch.from_numpy(rarest(split.pixels))

    def __getstate__(self) -> dict[str, Any]:
        return {"split": replace(self.split, digests=[]), "strata": None}  # loader processes need neither

    def __len__(self) -> int:
        return len(self.split)

    @property
    def uniform_size(self) -> tuple[int, int] | None:
        """(h, w) where all images have one size."""
        sizes = self.split.sizes
        return None if (sizes != sizes[0]).any() else (int(sizes[0][0]), int(sizes[0][1]))

    def cached(self, device: torch.device) -> None:
        """No decoded pixels are kept: images are always decoded one by one."""
        return

    def pair(self, i: int) -> tuple[Image.Image, NDArray[np.int16]]:
        """Image i, mode L or RGB, and its classes (h, w). Raises `InvalidDataset` where they cannot be read."""
        name = self.split.images.name(i)
        try:
            return self.split.images.image(i), self.split.masks.classes(i)
        except UnreadableImage as error:
            raise InvalidDataset(
                f"Image {name!r} or its mask cannot be read: {error}.",
                "Replace or remove it and register the dataset again.",
                {"image": name},
            ) from error


@dataclass(frozen=True, slots=True)
class Dataset:
    """`digest`: sha256 over classes and content of both splits. `notes`: what was decided on opening."""

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    train: Samples
    test: Samples
    digest: str
    notes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3."""
        return 1 if self.train.split.gray.all() and self.test.split.gray.all() else 3

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(h, w) where all training images have one size."""
        return self.train.uniform_size


def open_dataset(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Dataset:
    """Raises `InvalidDataset`."""
    raw: Raw = open_raw(dataset, limits, scratch)
    return Dataset(
        raw.name, raw.classes, raw.legend.coloured(), Samples(raw.train), Samples(raw.test), raw.digest, raw.notes
    )
