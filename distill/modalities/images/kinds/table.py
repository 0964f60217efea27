"""CSV or JSON Lines with a base64 image and a class in each row."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from distill.data.files import paths_of
from distill.data.labelled import (
    EMBEDDED,
    LABELS,
    Sample,
    class_names,
    columns_of,
    held_out,
    label_numbers,
    row_limits,
    samples,
)
from distill.data.limits import Limits
from distill.data.rows import Form, form_of, read_rows, refuse
from distill.modalities.images.kinds._base import Items, Opened
from distill.modalities.images.pack import Pack
from distill.modalities.images.sources import Picked, SpanImages
from distill.types import DatasetInput

_PREFIX = "data:image/"


def open_table(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Opened:
    """Files by role; a column `split` divides a file that is the whole. Images are decoded from base64 (a data URL's
    prefix may stand before it) into memory, or one file under `scratch`."""
    files = {role: _read(path, role, limits, scratch) for role, path in paths_of(dataset).items()}
    if "all" in files:
        whole = files["all"]
        uses = {name: [i for i, split in enumerate(whole.splits) if split == name] for name in set(whole.splits)}
        parts = {split: whole.pick(uses[name]) for name, split in held_out(set(uses)).items() if name in uses}
        unused = [f"Not used: the split {name!r}." for name in sorted(set(uses) - set(held_out(set(uses))))]
    else:
        parts, unused = {role: file.pick(range(len(file.labels))) for role, file in files.items()}, []
    if "train" not in parts:
        refuse("it has no rows of the training split")
    classes = class_names(parts["train"][1], limits)
    splits = {split: Items(images, label_numbers(labels, classes, split)) for split, (images, labels) in parts.items()}
    return Opened(classes, splits, tuple(unused))


@dataclass
class _File:
    """What was read: images, and a label and a split for each."""

    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    images: SpanImages | None = None

    def pick(self, rows: range | list[int]) -> tuple[Picked, list[str]]:
        assert self.images is not None
        return Picked(self.images, np.array(rows, np.int64)), [self.labels[i] for i in rows]


def _read(path: Path, role: str, limits: Limits, scratch: Path | None) -> _File:
    found = _File()
    with path.open("rb") as stream, Pack(scratch) as pack:
        for sample in _samples(stream, form_of(path), limits):
            pack.add(_image(sample, limits), f"row {sample.number}" if role == "all" else f"{role} row {sample.number}")
            found.labels.append(sample.label)
            found.splits.append(sample.split)
        found.images = pack.finish()
    return found


def _samples(stream: object, form: Form, limits: Limits) -> Iterator[Sample]:
    rows = read_rows(stream, form, row_limits(limits, limits.file_bytes * 4 // 3 + 100))  # type: ignore[arg-type]
    first = next(rows, None)
    if first is None:
        refuse("it has no rows")
    columns = columns_of(first, EMBEDDED)
    if columns is None:
        wanted = f"a column {EMBEDDED[0]!r} with base64 and one {LABELS[0]!r}"
        refuse(f"it needs {wanted} (its columns: {', '.join(first)[:200]})", columns=list(first)[:50])
    return samples(chain([first], rows), columns, "the file")


def _image(sample: Sample, limits: Limits) -> bytes:
    text = sample.image.partition(",")[2] if sample.image.startswith(_PREFIX) else sample.image
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse(f"the image of row {sample.number} is no base64", row=sample.number)
    if len(data) > limits.file_bytes:
        refuse(f"the image of row {sample.number} has {len(data):,} bytes", row=sample.number)
    return data


ENTRY = open_table
