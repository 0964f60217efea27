"""An opened dataset for training: images and their boxes, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from distill.data.limits import DEFAULT, Limits
from distill.data.stratify import rarest
from distill.errors import InvalidDataset
from distill.modalities.images.sources import UnreadableImage
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.opening import Split, open_raw
from distill.types import DatasetInput


class Samples:
    """Images with their boxes, of one split. Can be sent to a worker process."""

    def __init__(self, split: Split, classes: int) -> None:
        self.split = split
        self.strata: Tensor = torch.from_numpy(rarest(split.learnable(classes)))

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

    def name(self, i: int) -> str:
        """What a user knows image i by."""
        return self.split.images.name(i)

    def boxes(self, i: int) -> Boxes:
        """Of image i, in its pixels."""
        return self.split.boxes(i)

    def image(self, i: int) -> Image.Image:
        """Image i, mode L or RGB. Raises `InvalidDataset` where it cannot be read."""
        try:
            return self.split.images.image(i)
        except UnreadableImage as error:
            raise InvalidDataset(
                f"Image {self.name(i)!r} cannot be read: {error}.",
                "Replace or remove it and register the dataset again.",
                {"image": self.name(i)},
            ) from error

    def pair(self, i: int) -> tuple[Image.Image, Boxes]:
        """Image i and its boxes. Raises `InvalidDataset`."""
        return self.image(i), self.boxes(i)


@dataclass(frozen=True, slots=True)
class Dataset:
    """`train` holds the images of the training split and then, where the dataset has a validation split beside a test
    split, those of validation, at the positions `validation` (int64; empty: the run holds some out). `digest`: sha256
    over classes and content of all splits. `notes`: what was decided on opening."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    validation: Tensor
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
    raw = open_raw(dataset, limits, scratch)
    train = raw.train if raw.validation is None else raw.train.followed_by(raw.validation)
    count = len(raw.classes)
    given = torch.arange(len(raw.train), len(train))
    return Dataset(raw.name, raw.classes, Samples(train, count), given, Samples(raw.test, count), raw.digest, raw.notes)
