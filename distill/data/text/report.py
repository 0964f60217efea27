"""What a text dataset is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from distill.data.rows import RowLimits
from distill.data.text.opening import RawText, TextSplit, open_raw_text
from distill.data.text.tables import LIMITS
from distill.types import DatasetInput

LENGTHS = (128, 256, 512)
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class TextReport:
    """`counts`: split -> texts per class, in class order (instructions without labels: one number). `words`: (minimum,
    median, maximum) of words and punctuation marks, both texts together. `longer_than`: share of texts with more than
    128, 256, 512 of them; tokenizers make 1.1 to 1.5 tokens of each, so at least so many are truncated there (a job
    says exactly how many). `duplicates_between_splits`: test texts that are among the training texts."""

    name: str
    kind: str
    classes: tuple[str, ...]
    counts: dict[str, list[int]]
    words: tuple[int, int, int]
    longer_than: dict[str, float]
    pairs: bool
    duplicates_between_splits: int
    digest: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def inspect_text(dataset: DatasetInput, limits: RowLimits = LIMITS) -> TextReport:
    """Read and describe. Raises `InvalidDataset`."""
    return report(open_raw_text(dataset, limits))


def report(raw: RawText) -> TextReport:
    words = np.array([_words(pair) for split in (raw.train, raw.test) for pair in split.pairs])
    return TextReport(
        raw.name,
        raw.kind,
        raw.classes,
        {"train": _counts(raw.train, raw), "test": _counts(raw.test, raw)},
        (int(words.min()), int(np.median(words)), int(words.max())),
        {str(length): round(float((words > length).mean()), 4) for length in LENGTHS},
        any(second is not None for _, second in raw.train.pairs[:1]) and raw.kind == "classify",
        raw.duplicates,
        raw.digest,
        raw.notes,
    )


def _words(pair: tuple[str, str | None]) -> int:
    return sum(len(_WORD.findall(part)) for part in pair if part)


def _counts(split: TextSplit, raw: RawText) -> list[int]:
    if not raw.classes:
        return [len(split)]
    return [int(count) for count in np.bincount(split.labels, minlength=len(raw.classes))]
