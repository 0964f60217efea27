"""What rows say of their class and their split: one reading for tables of every format, of images and of texts.
Torch-free."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data.columns import FLAGS, LABELS, PERHAPS_SPLITS, SPLITS, find, found, is_index
from distill.data.limits import Limits
from distill.data.row_checks import Row, RowLimits, refuse
from distill.data.split_names import TEST, TRAIN, VALIDATION, meaning
from distill.errors import InvalidDataset

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


_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))\.0+")
_YES, _NO = frozenset({"1", "true", "yes", "t", "y"}), frozenset({"0", "false", "no", "f", "n"})


def label_of(value: Any) -> str | None:
    """The class that a cell says, None where it says none. Text composed (NFC) and without spaces around it; numbers
    as they are written, whole ones without a fraction: 0, 0.0 and "0.0" are one class, "01" is another."""
    if isinstance(value, float | Decimal):
        finite = value.is_finite() if isinstance(value, Decimal) else isfinite(value)
        value = str(value) if finite else None
    if value is None or not isinstance(value, str | int):
        return None
    text = unicodedata.normalize("NFC", str(value)).strip()
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text or None


@dataclass(frozen=True, slots=True)
class SplitColumns:
    """Where a row says its split: one column of names, or `flags`, columns of yes and no."""

    name: str | None
    flags: Mapping[str, str]

    def read(self, row: Mapping[str, Any], number: int, table: str) -> str:
        """`train`, `test`, `validation` or `unlabelled`. Raises `InvalidDataset` for a row that says none."""
        if self.name is None:
            return self._flagged(row, number, table)
        value = row.get(self.name)
        said = meaning(value) if isinstance(value, str) else None
        if said is None:
            what = f"row {number} of {table} has the split {str(value)[:40]!r}, not train, validation or test"
            remedy = f"Write train, validation or test in column {self.name!r}, or name the column otherwise."
            refuse(what, remedy, row=number, column=self.name)
        return said.split

    def _flagged(self, row: Mapping[str, Any], number: int, table: str) -> str:
        for column, split in self.flags.items():
            if (yes := yes_or_no(row.get(column))) is None:
                shown = str(row.get(column))[:40]
                what = f"row {number} of {table} has {shown!r} in column {column!r}, neither yes nor no"
                refuse(what, "Write true or false there, or 1 or 0.", row=number, column=column)
            if yes:
                return split
        return TEST if set(self.flags.values()) == {TRAIN} else TRAIN


def split_columns(columns: Sequence[str], first: Mapping[str, Any]) -> SplitColumns | None:
    """Where a table with these columns and this first row says its splits; None where it does not."""
    name = find(columns, SPLITS)
    perhaps = (column for column in found(columns, PERHAPS_SPLITS) if _says_split(first.get(column)))
    if name := name or next(perhaps, None):
        return SplitColumns(name, {})
    flags = {column: FLAGS[name] for name in FLAGS if (column := find(columns, (name,)))}
    flags = {column: split for column, split in flags.items() if yes_or_no(first.get(column)) is not None}
    return SplitColumns(None, flags) if flags else None


def _says_split(value: Any) -> bool:
    return isinstance(value, str) and meaning(value) is not None


def yes_or_no(value: Any) -> bool | None:
    """What a cell of yes and no says (1, true, yes, t, y; 0, false, no, f, n); None where it says neither."""
    said = (label_of(value) or "").casefold()
    return True if said in _YES else False if said in _NO else None


@dataclass(frozen=True, slots=True)
class Sample:
    """One row: what stands in the image column, the class's name, None where the row says none, and the split that the
    row says, None where the table has no column for it. `number` counts from 1."""

    number: int
    image: str
    label: str | None
    split: str | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns; `split` may be missing, and `label` where no row has a class. `unused`: what else the table
    has, row numbers left out."""

    image: str
    label: str | None
    split: SplitColumns | None
    unused: tuple[str, ...] = ()


def columns_of(row: Row, images: Sequence[str]) -> Columns | None:
    """The first name of each list that the row has; None without image or label."""
    image = find(row, images)
    return None if image is None else with_image(row, image)


def with_image(row: Row, image: str) -> Columns | None:
    """The columns of a table whose images are in column `image`; None without a label."""
    label = find([column for column in row if column != image], LABELS)
    if label is None:
        return None
    split = split_columns(list(row), row)
    return Columns(image, label, split, unused_columns(row, [image, label], split))


def without_label(row: Row, image: str) -> Columns:
    """The columns of a table whose images, in column `image`, have no classes."""
    split = split_columns(list(row), row)
    return Columns(image, None, split, unused_columns(row, [image], split))


def unused_columns(columns: Iterable[str], read: Sequence[str | None], split: SplitColumns | None) -> tuple[str, ...]:
    """Columns that nothing was read from, those that only count rows left out."""
    known = {*read, *((split.name, *split.flags) if split else ())}
    return tuple(column for column in columns if column not in known and not is_index(column))


def unused_notes(unused: Sequence[str]) -> list[str]:
    """What a report says of columns that nothing was read from."""
    if not unused:
        return []
    more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
    return [f"Not used: the column{'s' * (len(unused) > 1)} {', '.join(map(repr, unused[:8]))}{more}."]


def row_limits(limits: Limits, image_bytes: int) -> RowLimits:
    """Caps of a table whose image column holds up to `image_bytes`."""
    return RowLimits(
        rows=limits.members,
        cell_bytes=image_bytes,
        row_bytes=image_bytes + 2**16,
        total_bytes=limits.total_bytes,
    )


def samples(rows: Iterable[Row], columns: Columns, name: str) -> Iterator[Sample]:
    """Rows as samples, those with an empty cell for their class without one. Raises `InvalidDataset` by row for a
    missing image, a class that cannot be one, another split."""
    for number, row in enumerate(rows, 1):
        split = columns.split.read(row, number, name) if columns.split else None
        image = row.get(columns.image)
        image = str(image) if isinstance(image, int) and not isinstance(image, bool) else image
        if not isinstance(image, str) or not image.strip():
            refuse(f"row {number} of {name} has no text in column {columns.image!r}", row=number)
        yield Sample(number, image, named_label(row.get(columns.label or ""), number, name), split)


def checked_label(value: Any, column: str, number: int, name: str) -> str:
    """`label_of`. Raises `InvalidDataset` where there is none, and for a name that no class can have."""
    label = named_label(value, number, name)
    if label is None:
        remedy = f"Give the row a class in column {column!r}, or remove it, and upload the file again."
        refuse(f"row {number} of {name} has no class in column {column!r}", remedy, row=number, column=column)
    return label


def named_label(value: Any, number: int, name: str) -> str | None:
    """`label_of`. Raises `InvalidDataset` for a name that no class can have."""
    label = label_of(value)
    if label is not None and (why := bad_name(label)):
        refuse(f"the class of row {number} of {name} {why}", row=number)
    return label


def held_out(found: Iterable[str]) -> dict[str, str]:
    """Which of the splits found become `train` and `test`; a validation split beside a test split is not used."""
    names = set(found)
    test = TEST if TEST in names else VALIDATION if VALIDATION in names else None
    return {TRAIN: TRAIN} | ({test: TEST} if test else {})


def split_notes(counts: Mapping[str, int], noun: str = "rows") -> list[str]:
    """What a report says of splits (name -> rows, in all) that are not used, or used as another."""
    used = held_out(counts)
    notes = [
        f"Not used: {counts[name]:,} {noun} of the split {name!r}."
        for name in sorted(set(counts) - set(used))
        if counts[name]
    ]
    if VALIDATION in used:
        notes.append(f"The split {VALIDATION!r} is the test split: there is no other.")
    return notes


def check_role(role: str, split: str | None, number: int, name: str) -> None:
    """Raise `InvalidDataset` where a row of the training file says that it is held out, or of the test file that it is
    for training."""
    if (role == TRAIN and split in (TEST, VALIDATION)) or (role == TEST and split == TRAIN):
        what = f"row {number} of {name}, sent as the {role} file, says that it belongs to the split {split!r}"
        refuse(
            what, "Send the file as the whole, so that its split column divides it, or take these rows out.", row=number
        )


def class_notes(classes: Sequence[str]) -> list[str]:
    """What a report says of classes that may not be meant as they are read."""
    alike = [names for names in _grouped(classes) if len(names) > 1]
    notes = [
        f"The classes {' and '.join(map(repr, names[:3]))} differ in upper and lower case alone." for names in alike[:5]
    ]
    if fractions := [name for name in classes if _is_fraction(name)]:
        shown = ", ".join(fractions[:5])
        notes.append(f"{len(fractions)} classes are fractional numbers ({shown}): is the label a number to predict?")
    return notes


def _grouped(classes: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    return list(groups.values())


def _is_fraction(name: str) -> bool:
    return re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", name) is not None


def class_names(labels: Iterable[str], limits: Limits) -> tuple[str, ...]:
    """Distinct labels, `ordered`. Raises `InvalidDataset` for fewer than two."""
    names = set(labels)
    if len(names) < 2:
        remedy = "Send rows of at least two classes; if the classes stand in another column, name that one `label`."
        refuse(f"it has fewer than 2 classes ({', '.join(sorted(names))[:100]})", remedy, classes=sorted(names))
    if len(names) > limits.classes:
        remedy = "Name the column that holds the classes `label`."
        refuse(f"it has {len(names):,} classes, more than {limits.classes:,}; is the label column right?", remedy)
    return ordered(names)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct names as they are written: by number where all are plain numbers ("2" before "010"), else by name."""
    found = set(names)
    numbers = all(name.isascii() and name.isdecimal() and len(name) < 10 for name in found)
    return tuple(sorted(found, key=lambda name: (int(name), name) if numbers else (0, name)))


def in_order(classes: Sequence[str], names: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """The classes that have rows, in the order of a file's own `names` where it has them (a ClassLabel's numbers); with
    a note on names without rows."""
    if names is None:
        return tuple(classes), []
    used = set(classes)
    empty = [name for name in names if name not in used]
    found = (*(name for name in names if name in used), *(name for name in classes if name not in set(names)))
    shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
    note = f"{len(empty)} of {len(names)} class names have no training rows and were left out: {shown}."
    return found, [note] if empty else []


def label_numbers(labels: Sequence[str], classes: Sequence[str], split: str) -> NDArray[np.int64]:
    """Positions in `classes`. Raises `InvalidDataset` for a label that is none of them, and for no rows."""
    number = {name: i for i, name in enumerate(classes)}
    foreign = sorted(set(labels) - set(number))
    if foreign:
        counts = Counter(label for label in labels if label not in number)
        shown = ", ".join(f"{name}: {counts[name]:,} rows" for name in foreign[:3])
        remedy = (
            f"Add rows of these classes to the training split, or take them out of {split!r}.{_hint(foreign, classes)}"
        )
        refuse(f"split {split!r} has classes that the training split lacks ({shown})", remedy, split=split)
    if not labels:
        refuse(f"split {split!r} has no rows", split=split)
    return np.array([number[label] for label in labels], np.int64)


def _hint(foreign: Sequence[str], classes: Sequence[str]) -> str:
    known = {name.casefold(): name for name in classes}
    other = next(((name, known[name.casefold()]) for name in foreign if name.casefold() in known), None)
    return f" {other[0]!r} and {other[1]!r} differ in upper and lower case: write them alike." if other else ""
