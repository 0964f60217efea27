"""An opened text dataset for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.data.row_checks import RowLimits
from distill.modalities.text.opening import TextSplit, open_raw_text
from distill.modalities.text.records import Form, Kind
from distill.modalities.text.tables import LIMITS
from distill.types import DatasetInput


class TextSamples:
    """Texts of one split: `pairs` (text, second text or None; prompt and answer), `labels` (n) int64, -1: none."""

    def __init__(self, split: TextSplit) -> None:
        self.pairs = split.pairs
        self.labels: Tensor = torch.from_numpy(split.labels.copy())

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True, slots=True)
class TextDataset:
    """As `distill.modalities.images.Dataset`, of texts."""

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: TextSamples
    test: TextSamples
    digest: str
    notes: tuple[str, ...]
    duplicates: int = 0
    form: Form = "texts"


def open_text(dataset: DatasetInput, limits: RowLimits = LIMITS) -> TextDataset:
    """Open for training. Raises `InvalidDataset`."""
    raw = open_raw_text(dataset, limits)
    return TextDataset(
        raw.name, raw.kind, raw.classes, TextSamples(raw.train), TextSamples(raw.test), raw.digest, raw.notes,
        raw.duplicates, raw.form,
    )  # fmt: skip
