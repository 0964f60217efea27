"""An opened dataset for training: images, and a row of 0 and 1 each."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.opening import Split
from distill.modalities.images.samples import Dataset, Samples
from distill.tasks.tag_images.opening import Hot, open_tagged, strata
from distill.types import DatasetInput


class TaggedSamples(Samples):
    """Samples whose `labels` are (n, C) bool. `strata` (n,): as `distill.tasks.tag_images.opening.strata`."""

    def __init__(self, split: Split, hot: Hot) -> None:
        super().__init__(split)
        self.labels: Tensor = torch.from_numpy(hot)
        self.strata: Tensor = torch.from_numpy(strata(hot))


def open_dataset(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Dataset:
    """Raises `InvalidDataset`."""
    found = open_tagged(dataset, limits, scratch)
    raw = found.images
    train, test = (TaggedSamples(split, found.hot(split)) for split in (raw.train, raw.test))
    return Dataset(raw.name, raw.classes, train, test, raw.digest, raw.notes)
