"""What a text dataset is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from distill.class_weights import skew
from distill.data.row_checks import RowLimits
from distill.modalities.text.opening import RawText, TextSplit, open_raw_text
from distill.modalities.text.records import Form
from distill.modalities.text.tables import LIMITS
from distill.types import DatasetInput
from distill.warned import RunWarning

LENGTHS = (128, 256, 512)
LONG_SHARE = 0.99  # as `max_length: auto` chooses
EXAMPLES, EXAMPLE_CHARACTERS = 8, 240
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class TextReport:
    """`form`: `texts`, `pairs`, `instructions` or `messages`. `counts`: split -> texts per class, in class order
    (instructions without labels: one number). `words`: (minimum, median, maximum) of words and punctuation marks, both
    texts together. `longer_than`: share of texts with more than 128, 256, 512 of them; tokenizers make 1.1 to 1.5
    tokens of each, so at least so many are truncated there (a job says exactly how many). `mean_words` and `words_99`
    (the 99th percentile) are of the training texts, for estimates. `duplicates_between_splits`: test texts that are
    among the training texts. `examples`: the first training text of each of the first classes (of instructions without
    classes: the first ones), cut for display. `warnings`: what is probably wrong
    with it."""

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
    form: Form = "texts"
    mean_words: float = 0.0
    words_99: int = 0
    examples: tuple[dict[str, str], ...] = field(default=())
    warnings: tuple[RunWarning, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def inspect_text(dataset: DatasetInput, limits: RowLimits = LIMITS) -> TextReport:
    """Read and describe. Raises `InvalidDataset`."""
    return report(open_raw_text(dataset, limits))


def report(raw: RawText) -> TextReport:
    train, test = (np.array([_words(pair) for pair in split.pairs]) for split in (raw.train, raw.test))
    words = np.concatenate([train, test])
    counts = {"train": _counts(raw.train, raw), "test": _counts(raw.test, raw)}
    skewed = skew(counts["train"], raw.classes, "texts") if raw.kind == "classify" else None
    return TextReport(
        raw.name,
        raw.kind,
        raw.classes,
        counts,
        (int(words.min()), int(np.median(words)), int(words.max())),
        {str(length): round(float((words > length).mean()), 4) for length in LENGTHS},
        any(second is not None for _, second in raw.train.pairs[:1]) and raw.kind == "classify",
        raw.duplicates,
        raw.digest,
        raw.notes,
        raw.form,
        round(float(train.mean()), 2),
        int(np.quantile(train, LONG_SHARE, method="higher")),
        tuple(_examples(raw)),
        (skewed,) if skewed else (),
    )


def _words(pair: tuple[str, str | None]) -> int:
    return sum(len(_WORD.findall(part)) for part in pair if part)


def _counts(split: TextSplit, raw: RawText) -> list[int]:
    if not raw.classes:
        return [len(split)]
    return [int(count) for count in np.bincount(split.labels, minlength=len(raw.classes))]


def _examples(raw: RawText) -> list[dict[str, str]]:
    """{label, first, second} of up to `EXAMPLES` training texts, a class each where there are classes."""
    labels = raw.train.labels
    numbers = range(min(EXAMPLES, len(raw.classes or raw.train)))
    rows = [int(np.argmax(labels == number)) for number in numbers] if raw.classes else list(numbers)
    return [
        {
            "label": raw.classes[labels[row]] if raw.classes else "",
            "first": _cut(raw.train.pairs[row][0]),
            "second": _cut(raw.train.pairs[row][1] or ""),
        }
        for row in rows
    ]


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= EXAMPLE_CHARACTERS else f"{plain[: EXAMPLE_CHARACTERS - 1].rstrip()}…"
