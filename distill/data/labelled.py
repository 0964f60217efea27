"""Which columns of a table say what: one for the image, one for its class, maybe one for its split. Torch-free."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.data.limits import Limits
from distill.data.rows import Row, RowLimits, refuse
from distill.data.split_names import split_of
from distill.errors import InvalidDataset

LABELS = ("label", "labels", "class", "class_name", "category", "target")
SPLITS = ("split", "subset", "partition")
EMBEDDED = ("image", "img", "image_base64", "data")
PATHS = ("file_name", "filename", "image", "img", "path", "file", "image_path", "filepath")
NAME_LENGTH = 255  # what file systems give a class folder's name

NAMES_CHARACTERS = 4 * 2**20  # of all names of a dataset: every report of it and every listing carries them


def check_together(names: Sequence[str]) -> None:
    """Raise `InvalidDataset` for class names that are too long all together."""
    if (total := sum(map(len, names))) > NAMES_CHARACTERS:
        raise InvalidDataset(
            f"The names of its {len(names):,} classes have {total:,} characters, more than {NAMES_CHARACTERS:,}.",
            "Give the classes shorter names.",
            {"classes": len(names), "characters": total},
        )


def bad_name(name: str) -> str | None:
    """Why no class can be called so, None where one can: what names it has more than 255 characters, or holds control
    characters or halves of surrogate pairs, which neither UTF-8 nor every database can hold."""
    if len(name) > NAME_LENGTH:
        return f"has {len(name):,} characters, more than {NAME_LENGTH}"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds control characters"
    return None


@dataclass(frozen=True, slots=True)
class Sample:
    """One row: what stands in the image column, the class's name, and `train` or `test`. `number` counts from 1."""

    number: int
    image: str
    label: str
    split: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns; `split` may be missing."""

    image: str
    label: str
    split: str | None


def columns_of(row: Row, images: Sequence[str]) -> Columns | None:
    """The first name of each list that the row has, whatever its case; None without image or label."""
    image, label, split = (_first(row, names) for names in (images, LABELS, SPLITS))
    return Columns(image, label, split) if image and label else None


def row_limits(limits: Limits, image_bytes: int) -> RowLimits:
    """Caps of a table whose image column holds up to `image_bytes`."""
    return RowLimits(
        rows=limits.members,
        cell_bytes=image_bytes,
        row_bytes=image_bytes + 2**16,
        total_bytes=limits.total_bytes,
    )


def samples(rows: Iterable[Row], columns: Columns, name: str) -> Iterator[Sample]:
    """Rows as samples. Raises `InvalidDataset` by row for a missing image, an empty or fractional label, another
    split. Several splits for tests: `test` counts, and `validation` only without one (see `held_out`)."""
    for number, row in enumerate(rows, 1):
        image, label = row.get(columns.image), row.get(columns.label)
        if not isinstance(image, str) or not image:
            refuse(f"row {number} of {name} has no text in column {columns.image!r}", row=number)
        if isinstance(label, bool) or not isinstance(label, int | str) or not str(label).strip():
            refuse(f"row {number} of {name} has no class in column {columns.label!r}", row=number)
        if why := bad_name(str(label).strip()):
            refuse(f"the class of row {number} of {name} {why}", row=number)
        split = _split(row.get(columns.split), number, name) if columns.split else "train"
        yield Sample(number, image, str(label).strip(), split)


def held_out(found: set[str]) -> dict[str, str]:
    """Which of the splits found become `train` and `test`; a validation split beside a test split is not used."""
    test = "test" if "test" in found else "validation" if "validation" in found else None
    return {"train": "train"} | ({test: "test"} if test else {})


def class_names(labels: Iterable[str], limits: Limits) -> tuple[str, ...]:
    """Distinct labels, `ordered`. Raises `InvalidDataset` for fewer than two."""
    names = set(labels)
    if len(names) < 2:
        refuse(f"it has fewer than 2 classes ({', '.join(sorted(names))[:100]})", classes=sorted(names))
    if len(names) > limits.classes:
        refuse(f"it has {len(names):,} classes, more than {limits.classes:,}; is the label column right?")
    return ordered(names)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct names as they are written: by number where all are plain numbers ("2" before "010"), else by name."""
    found = set(names)
    numbers = all(name.isascii() and name.isdecimal() and len(name) < 10 for name in found)
    return tuple(sorted(found, key=lambda name: (int(name), name) if numbers else (0, name)))


def label_numbers(labels: Sequence[str], classes: Sequence[str], split: str) -> NDArray[np.int64]:
    """Positions in `classes`. Raises `InvalidDataset` for a label that is none of them, and for no rows."""
    number = {name: i for i, name in enumerate(classes)}
    foreign = sorted(set(labels) - set(number))
    if foreign:
        refuse(f"split {split!r} has classes that the training split lacks ({', '.join(foreign[:3])})", split=split)
    if not labels:
        refuse(f"split {split!r} has no rows", split=split)
    return np.array([number[label] for label in labels], np.int64)


def _first(row: Row, names: Sequence[str]) -> str | None:
    lowered = {column.lower(): column for column in row}
    return next((lowered[name] for name in names if name in lowered), None)


def _split(value: object, number: int, name: str) -> str:
    split = split_of(value.strip()) if isinstance(value, str) else None
    if split is None:
        refuse(f"row {number} of {name} has the split {str(value)[:40]!r}, not train, validation or test", row=number)
    return split
