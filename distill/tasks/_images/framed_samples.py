"""Samples whose labels have places: images of any size, decoded one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.data.stratify import rarest
from distill.errors import InvalidDataset
from distill.modalities.images.sources import UnreadableImage


class FramedSamples:
    """Images with their labels, of one split: a dataclass with `images`, `sizes`, `gray` and `digests`. `counts`
    (n, C): how much of each class a sample has, of which the strata are made. Can be sent to a worker process."""

    split: Any

    def __init__(self, split: Any, counts: NDArray[Any]) -> None:
        self.split = split
        self.strata: Tensor = torch.from_numpy(rarest(counts))

    def __getstate__(self) -> dict[str, Any]:
        return {"split": replace(self.split, digests=[]), "strata": None}  # loader processes need neither

    def __len__(self) -> int:
        return len(self.split)

    def name(self, i: int) -> str:
        """What a user knows image i by."""
        name: str = self.split.images.name(i)
        return name

    @property
    def uniform_size(self) -> tuple[int, int] | None:
        """(h, w) where all images have one size."""
        sizes = self.split.sizes
        return None if (sizes != sizes[0]).any() else (int(sizes[0][0]), int(sizes[0][1]))

    def cached(self, device: torch.device) -> None:
        """No decoded pixels are kept: images are always decoded one by one."""
        return

    def unreadable(self, i: int, what: str, error: UnreadableImage) -> InvalidDataset:
        """The error of sample i. `what`: what of it cannot be read."""
        return InvalidDataset(
            f"{what} cannot be read: {error}.",
            "Replace or remove it and register the dataset again.",
            {"image": self.split.images.name(i)},
        )


class FramedDataset:
    """Two splits of such samples."""

    __slots__ = ()
    train: Any
    test: Any

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3."""
        return 1 if self.train.split.gray.all() and self.test.split.gray.all() else 3

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(h, w) where all training images have one size."""
        size: tuple[int, int] | None = self.train.uniform_size
        return size
