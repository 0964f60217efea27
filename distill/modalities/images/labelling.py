"""What a label of an image is: where tables and parquet files say it, and how labels become numbers.

Readers of images ask a `Labelling`, and hand labels on as text. This one is one class an image; a task whose labels are
others brings a subclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill.data.columns import LABELS, find
from distill.data.labelled import class_names, class_notes, in_order, label_numbers, named_label
from distill.data.limits import Limits
from distill.data.parquet import UNNAMED, is_label, named
from distill.data.parquet import class_names as names_of
from distill.data.row_checks import Row
from distill.data.split_names import TRAIN
from distill.errors import InvalidDataset

Named = TypeVar("Named")


@dataclass(frozen=True, slots=True)
class Cells:
    """Which columns of a parquet file hold a row's label, and how it is read: `read(row, number, file)` gives None for
    a row without one. `names`: what the file calls its classes, in order; None: it does not."""

    columns: tuple[str, ...]
    names: tuple[str, ...] | None
    read: Callable[[Mapping[str, Any], int, str], str | None]


@dataclass(frozen=True, slots=True)
class Numbered:
    """`classes` by number; `numbers`: int64 by split, in the rows' order; `notes`: what a report says of the classes
    before, and `after` what else it says."""

    classes: tuple[str, ...]
    numbers: Mapping[str, NDArray[np.int64]]
    notes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Labelling:
    """One class an image, in one column; or the name of its folder. `in_folders`: whether an archive's class folders
    say labels, where no table does. `nested`: columns (by `distill.data.columns.key`) whose JSON values may be lists.
    """

    in_folders: bool = True
    nested: frozenset[str] = frozenset()

    def rows(self, rows: Iterator[Row], name: str) -> Iterator[Row]:
        """A table's rows, each with its label as text or number in one column of `LABELS`, wherever it stood."""
        return rows

    def cells(self, arrow: Any, columns: Sequence[str], first: Mapping[str, Any]) -> Cells | None:
        """Where a parquet file of this schema has its labels; None: nowhere. `columns`: all but the images'; `first`:
        the plain values of its first row. Raises `InvalidDataset` for a column that cannot hold them."""
        label = find(columns, LABELS)
        if label is None:
            return None
        _check_type(arrow.field(label).type, label)
        names = names_of(arrow).get(label)

        def read(row: Mapping[str, Any], number: int, file: str) -> str | None:
            """None also for the -1 of a ClassLabel."""
            value = row[label]
            if names is not None and value == UNNAMED:
                return None
            return named_label(value if names is None else named(value, names, file, number), number, file)

        return Cells((label,), names, read)

    def together(
        self, found: dict[str, list[tuple[Named, str]]]
    ) -> tuple[dict[str, list[tuple[Named, str]]], list[str]]:
        """What rows say of an archive's images, by split: (image, label) for each row -> for each sample; with notes.
        Here every row is a sample."""
        labels: dict[Named, set[str]] = {}
        for image, label in (pair for pairs in found.values() for pair in pairs):
            labels.setdefault(image, set()).add(label)
        several = sum(len(names) > 1 for names in labels.values())
        return found, [f"{several} images are named with several classes, once in each."] if several else []

    def numbered(
        self, labels: Mapping[str, Sequence[str]], limits: Limits, names: Sequence[str] | None = None
    ) -> Numbered:
        """The labels of every split as numbers of the training split's classes; `names`: what the file calls them, in
        order. Raises `InvalidDataset`."""
        classes, notes = in_order(class_names(labels[TRAIN], limits), names)
        return self.numbered_as(classes, labels, tuple(notes))

    def numbered_as(
        self, classes: tuple[str, ...], labels: Mapping[str, Sequence[str]], notes: tuple[str, ...] = ()
    ) -> Numbered:
        """The same where the classes are known."""
        numbers = {split: label_numbers(found, classes, split) for split, found in labels.items()}
        return Numbered(classes, numbers, notes, tuple(class_notes(classes)))


ONE_CLASS = Labelling()


def _check_type(label: Any, name: str) -> None:
    if not is_label(label) and not pa.types.is_null(label):
        several = "; several classes a row are not learnt" if pa.types.is_nested(label) else ""
        raise InvalidDataset(
            f"The parquet file was refused: column {name!r} is {label}, neither integer nor text{several}.",
            f"Write one class a row in column {name!r}, as a number or as text.",
            {},
        )
