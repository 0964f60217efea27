"""An opened dataset for training: images and their boxes, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.sources import UnreadableImage
from distill.tasks._images.framed_samples import FramedDataset, FramedSamples
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.opening import Split, open_raw
from distill.types import DatasetInput


class Samples(FramedSamples):
    """Images with their boxes."""

    split: Split

    def __init__(self, split: Split, classes: int) -> None:
        super().__init__(split, split.learnable(classes))

    def boxes(self, i: int) -> Boxes:
        """Of image i, in its pixels."""
        return self.split.boxes(i)

    def image(self, i: int) -> Image.Image:
        """Image i, mode L or RGB. Raises `InvalidDataset` where it cannot be read."""
        try:
            return self.split.images.image(i)
        except UnreadableImage as error:
            raise self.unreadable(i, f"Image {self.name(i)!r}", error) from error

    def pair(self, i: int) -> tuple[Image.Image, Boxes]:
        """Image i and its boxes. Raises `InvalidDataset`."""
        return self.image(i), self.boxes(i)


@dataclass(frozen=True, slots=True)
class Dataset(FramedDataset):
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


def open_dataset(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Dataset:
    """Raises `InvalidDataset`."""
    raw = open_raw(dataset, limits, scratch)
    train = raw.train if raw.validation is None else raw.train.followed_by(raw.validation)
    count = len(raw.classes)
    given = torch.arange(len(raw.train), len(train))
    return Dataset(raw.name, raw.classes, Samples(train, count), given, Samples(raw.test, count), raw.digest, raw.notes)
