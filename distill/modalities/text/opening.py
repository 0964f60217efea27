"""From a `DatasetInput` of kind `text` to splits of texts with labels. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.files import paths_of
from distill.data.labelled import check_together, ordered
from distill.data.rows import RowLimits
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.modalities.text.records import KINDS, Form, Kind, Record, reader, refuse
from distill.modalities.text.tables import LIMITS, rows_of
from distill.types import DatasetInput

MAX_CLASSES = 100_000
NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class TextSplit:
    """`pairs`: (text, second text or None), or (prompt, answer). `labels` (n) int64, -1 where there is none."""

    pairs: list[tuple[str, str | None]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pairs)

    def pick(self, indices: NDArray[np.int64]) -> TextSplit:
        return TextSplit([self.pairs[i] for i in indices], self.labels[indices])


@dataclass(frozen=True, slots=True)
class RawText:
    """`kind`: `classify` (texts or pairs with labels) or `generate` (instructions with answers; `classes` may be
    empty); `form`: which columns the training file has. `digest`: sha256 over class names, texts and labels of both
    splits."""

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: TextSplit
    test: TextSplit
    digest: str
    notes: tuple[str, ...]
    duplicates: int = field(default=0)
    form: Form = "texts"


def open_raw_text(dataset: DatasetInput, limits: RowLimits = LIMITS) -> RawText:
    """Read every row; hold out a test split where there is none (20 %, stratified, seed 0). `duplicates`: test texts
    that are among the training texts, letters' case and spaces apart; `notes` says so. Raises `InvalidDataset`."""
    forms: dict[str, Form] = {}
    records: dict[str, list[Record]] = {}
    for role, path in paths_of(dataset).items():
        split = "train" if role == "all" else role
        forms[split], records[split] = _read(path, limits)
    if len({KINDS[form] for form in forms.values()}) > 1:
        refuse("its training file has labelled texts and its test file instructions, or the other way round")
    form = forms["train"]
    kind = KINDS[form]
    classes = _classes(records["train"])
    _check_classes(classes, kind)
    splits = {name: _split(name, found, classes) for name, found in records.items()}
    notes = []
    if "test" not in splits:
        splits = _hold_out(splits["train"])
        notes.append(f"No test split: {HOLD_OUT:.0%} held out, stratified by class, seed {HOLD_OUT_SEED}.")
    duplicates = _duplicates(splits["train"], splits["test"])
    if duplicates:
        share = duplicates / len(splits["test"])
        notes.append(f"{duplicates} test texts ({share:.1%}) are among the training texts: scores are too high.")
    digest = _digest(classes, splits)
    return RawText(dataset.name, kind, classes, splits["train"], splits["test"], digest, tuple(notes), duplicates, form)


def _read(path: Path, limits: RowLimits) -> tuple[Form, list[Record]]:
    rows = rows_of(path, limits)
    first = next(rows, None)
    if first is None:
        refuse(f"{path.name} has no rows")
    form, read = reader(list(first))
    return form, [read(row, number) for number, row in enumerate(chain([first], rows), start=1)]


def _classes(records: Sequence[Record]) -> tuple[str, ...]:
    """The labels as they are written, in the order of `ordered`, as image tables have them."""
    return ordered(str(record.label) for record in records if record.label is not None)


def _check_classes(classes: tuple[str, ...], kind: Kind) -> None:
    check_together(classes)
    if kind == "classify" and len(classes) < 2:
        refuse("it has fewer than 2 classes", classes=list(classes))
    if len(classes) > MAX_CLASSES:
        refuse(f"it has {len(classes):,} classes, more than {MAX_CLASSES:,}; is the label column a number to predict?")


def _split(name: str, records: Sequence[Record], classes: tuple[str, ...]) -> TextSplit:
    number = {label: i for i, label in enumerate(classes)}
    labels = [NO_LABEL if record.label is None else number.get(str(record.label), -2) for record in records]
    odd = next((i for i, label in enumerate(labels) if label == -2), None)
    if odd is not None:
        refuse(f"row {odd + 1} of split {name!r} has label {str(records[odd].label)[:40]!r}, which no training row has")
    return TextSplit([(record.first, record.second) for record in records], np.array(labels, np.int64))


def _hold_out(whole: TextSplit) -> dict[str, TextSplit]:
    kept, held_out = stratify.split(whole.labels, HOLD_OUT, HOLD_OUT_SEED)
    if not len(held_out):
        refuse(f"{len(whole)} rows leave none to test on")
    return {"train": whole.pick(kept), "test": whole.pick(held_out)}


def _key(pair: tuple[str, str | None]) -> bytes:
    text = "\0".join(" ".join((part or "").split()).casefold() for part in pair)
    return hashlib.sha256(text.encode()).digest()


def _duplicates(train: TextSplit, test: TextSplit) -> int:
    known = {_key(pair) for pair in train.pairs}
    return sum(_key(pair) in known for pair in test.pairs)


def _digest(classes: tuple[str, ...], splits: dict[str, TextSplit]) -> str:
    whole = hashlib.sha256(b"retort text dataset 1\n" + json.dumps(classes).encode())
    for name in sorted(splits):
        split = splits[name]
        whole.update(f"\n{name} {len(split)}\n".encode())
        whole.update(split.labels.astype("<i8").tobytes())
        for pair in split.pairs:
            whole.update(json.dumps(pair).encode() + b"\n")
    return whole.hexdigest()
