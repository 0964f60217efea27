"""From a `DatasetInput` of kind `text` to splits of texts with labels. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.files import paths_of
from distill.data.labelled import (
    check_role,
    check_together,
    class_notes,
    held_out,
    in_order,
    label_numbers,
    ordered,
    split_columns,
    split_notes,
    unused_columns,
    unused_notes,
)
from distill.data.row_checks import RowLimits
from distill.data.split_names import CLASSLESS, TRAIN
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.data.tables import names_of, rows_of
from distill.modalities.text.records import KINDS, Form, Kind, Record, reader, refuse
from distill.modalities.text.tables import LIMITS
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


@dataclass
class _Rows:
    """What was read of one file: records by the split that they say, and how many of each; `names`: its classes in the
    order that its metadata give them."""

    form: Form
    unused: tuple[str, ...]
    names: tuple[str, ...] | None
    records: dict[str, list[Record]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def open_raw_text(dataset: DatasetInput, limits: RowLimits = LIMITS) -> RawText:
    """Read every row; a split column divides a file that is the whole. Hold out a test split where there is none (20 %,
    stratified, seed 0). `duplicates`: test texts that are among the training texts, letters' case and spaces apart;
    `notes` says so, and what was not used. Raises `InvalidDataset`."""
    files = {role: _read(path, role, limits) for role, path in paths_of(dataset).items()}
    if len({KINDS[file.form] for file in files.values()}) > 1:
        refuse("its training file has labelled texts and its test file instructions, or the other way round")
    records, notes = _divided(files)
    first = files.get("all") or files[TRAIN]
    kind = KINDS[first.form]
    labels = ordered(record.label for record in records[TRAIN] if record.label is not None)
    classes, left_out = in_order(labels, first.names)
    _check_classes(classes, kind)
    splits = {name: _split(name, found, classes) for name, found in records.items()}
    if "test" not in splits:
        splits = _hold_out(splits["train"])
        notes.append(f"No test split: {HOLD_OUT:.0%} held out, stratified by class, seed {HOLD_OUT_SEED}.")
    duplicates = _duplicates(splits["train"], splits["test"])
    if duplicates:
        share = duplicates / len(splits["test"])
        notes.append(f"{duplicates} test texts ({share:.1%}) are among the training texts: scores are too high.")
    notes += [*left_out, *unused_notes(first.unused), *class_notes(classes)]
    train, test = splits["train"], splits["test"]
    digest = _digest(classes, splits)
    return RawText(dataset.name, kind, classes, train, test, digest, tuple(notes), duplicates, first.form)


def _read(path: Path, role: str, limits: RowLimits) -> _Rows:
    rows = rows_of(path, limits)
    first = next(rows, None)
    if first is None:
        refuse(f"{path.name} has no rows", "Send a file with at least two rows of each class.")
    read, split = reader(list(first)), split_columns(list(first), first)
    names = names_of(path, read.label, limits) if read.label else None
    found = _Rows(read.form, unused_columns(first, read.columns, split), names)
    for number, row in enumerate(chain([first], rows), start=1):
        said = split.read(row, number, path.name) if split else TRAIN if role == "all" else role
        found.counts[said] += 1
        if said in CLASSLESS:
            continue
        check_role(role, said, number, path.name)
        found.records.setdefault(said, []).append(read.read(row, number))
    return found


def _divided(files: Mapping[str, _Rows]) -> tuple[dict[str, list[Record]], list[str]]:
    """Records by `train` and maybe `test`, with notes on rows that are not used."""
    if "all" not in files:
        records = {role: list(chain.from_iterable(file.records.values())) for role, file in files.items()}
        without = {split: sum(file.counts[split] for file in files.values()) for split in CLASSLESS}
        notes = split_notes({TRAIN: 1} | without)
    else:
        whole = files["all"]
        records = {use: whole.records[name] for name, use in held_out(whole.counts).items() if name in whole.records}
        notes = split_notes(whole.counts)
    if empty := next((name for name in ("train", *records) if not records.get(name)), None):
        refuse(f"it has no rows of the split {empty!r}", "Send rows of it, or let no row name another split.")
    return records, notes


def _check_classes(classes: tuple[str, ...], kind: Kind) -> None:
    check_together(classes)
    if kind == "classify" and len(classes) < 2:
        remedy = "Send rows of at least two classes; if they stand in another column, name that one `label`."
        refuse("it has fewer than 2 classes", remedy, classes=list(classes))
    if len(classes) > MAX_CLASSES:
        remedy = "Name the column that holds the classes `label`."
        what = f"it has {len(classes):,} classes, more than {MAX_CLASSES:,}; is the label column a number to predict?"
        refuse(what, remedy)


def _split(name: str, records: Sequence[Record], classes: tuple[str, ...]) -> TextSplit:
    labels = [record.label for record in records if record.label is not None]
    numbers = np.full(len(records), NO_LABEL, np.int64)
    if labels:
        numbers[[record.label is not None for record in records]] = label_numbers(labels, classes, name)
    return TextSplit([(record.first, record.second) for record in records], numbers)


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
