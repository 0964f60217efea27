"""Sets of labels, as the readers of images hand them on: each different set has a number. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill.data.labelled import bad_name, ordered
from distill.data.limits import Limits
from distill.data.parquet import is_label, list_names
from distill.data.row_checks import Row, refuse
from distill.modalities.images.labelling import Cells, Labelling, Named, Numbered
from distill.tasks.tag_images.cells import Labels, Part, labels_of, separator_of
from distill.tasks.tag_images.columns import NESTED, LabelColumns, label_columns

LABEL = "label"  # the column in which readers find the number of a row's set


@dataclass(frozen=True, slots=True)
class LabelSets:
    """`classes` by number; `declared`: the files name them, so that one of them may have no picture. `hot` (s, C):
    which labels set number s has. `doubled` (s,): whether a list of that set names a label twice. `separator`: between
    the labels of a text, as `separator_of` found it."""

    classes: tuple[str, ...]
    declared: bool
    hot: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    separator: str | None


class SetLabelling(Labelling):
    """Several labels an image, or none: of one opening, whose files all share it. Class folders say none."""

    in_folders = False
    nested = NESTED

    def __init__(self) -> None:
        self._numbers: dict[tuple[Part, ...], int] = {}
        self._declared: Labels | None = None

    def rows(self, rows: Iterator[Row], name: str) -> Iterator[Row]:
        """Each with the number of its set in the column `label`; as they are where no column holds labels."""
        first = next(rows, None)
        if first is None:
            return
        columns = label_columns(list(first), first, [column for column in first if isinstance(first[column], list)])
        every = chain([first], rows)
        if columns is None:
            yield from every
            return
        self._declare(columns.flags or None)
        for number, row in enumerate(every, 1):
            rest = {column: value for column, value in row.items() if column not in columns.names}
            yield rest | {LABEL: self._number((columns.read(row, number, name),))}

    def cells(self, arrow: Any, columns: Sequence[str], first: Mapping[str, Any]) -> Cells | None:
        nested = [column for column in columns if is_list(arrow.field(column).type)]
        where = label_columns(columns, first, nested)
        if where is None:
            return None
        _check_types(arrow, where)
        names = None if where.listed is None else list_names(arrow).get(where.listed)
        self._declare(names or where.flags or None)

        def read(row: Mapping[str, Any], number: int, file: str) -> str:
            return self._number((where.read(row, number, file, names),))

        return Cells(where.names, None, read)

    def together(
        self, found: dict[str, list[tuple[Named, str]]]
    ) -> tuple[dict[str, list[tuple[Named, str]]], list[str]]:
        """The labels of all rows of an image are its labels: tables may have a row a label. Raises `InvalidDataset` for
        an image in two splits."""
        said = {str(number): parts for parts, number in self._numbers.items()}
        merged: dict[str, dict[Named, tuple[Part, ...]]] = {}
        home: dict[Named, str] = {}
        for split, image, number in ((split, *pair) for split, pairs in found.items() for pair in pairs):
            if home.setdefault(image, split) != split:
                refuse(
                    f"an image is in the splits {home[image]!r} and {split!r}: {_path(image)}",
                    "Leave its rows in one of them.",
                    image=_path(image),
                )
            parts = merged.setdefault(split, {})
            parts[image] = (*parts.get(image, ()), *said[number])
        rows, images = sum(map(len, found.values())), sum(map(len, merged.values()))
        notes = [f"{rows:,} rows name {images:,} images: the labels of all rows of an image are its labels."]
        sets = {
            split: [(image, self._number(each)) for image, each in parts.items()] for split, parts in merged.items()
        }
        return sets, notes if rows > images else []

    def numbered(
        self, labels: Mapping[str, Sequence[str]], limits: Limits, names: Sequence[str] | None = None
    ) -> Numbered:
        return self.numbered_as((), labels)

    def numbered_as(
        self, classes: tuple[str, ...], labels: Mapping[str, Sequence[str]], notes: tuple[str, ...] = ()
    ) -> Numbered:
        """Numbers of sets; `sets` tells their classes once all files are read."""
        return Numbered(
            (), {split: np.array([int(each) for each in found], np.int64) for split, found in labels.items()}
        )

    def sets(self, limits: Limits) -> LabelSets:
        """All sets by number. Raises `InvalidDataset` for fewer than 2 classes, too many, and one that is called as no
        class can be."""
        separator = separator_of(part for said in self._numbers for part in said if isinstance(part, str))
        parts = [[labels_of(part, separator) for part in said] for said in self._numbers]
        seen = {label for said in parts for labels in said for label in labels}
        classes = self._classes(seen, limits)
        number = {name: i for i, name in enumerate(classes)}
        hot = np.zeros((len(parts), len(classes)), np.bool_)
        for row, said in enumerate(parts):
            hot[row, [number[label] for labels in said for label in labels]] = True
        doubled = np.array([any(len(set(labels)) < len(labels) for labels in said) for said in parts], np.bool_)
        return LabelSets(classes, self._declared is not None, hot, doubled, separator)

    def _classes(self, seen: set[str], limits: Limits) -> tuple[str, ...]:
        if not seen:
            refuse(
                "none of its images has a label",
                "Name the column of labels `labels`, or one column of 0 and 1 a class.",
            )
        classes = (*(self._declared or ()), *ordered(seen - set(self._declared or ())))
        if len(classes) < 2:
            remedy = "For one class, write a column `label` with yes and no, and register it as classify_images."
            refuse(f"it has one class alone, {classes[0]!r}", remedy, classes=list(classes))
        if len(classes) > limits.classes:
            refuse(f"it has {len(classes):,} classes, more than {limits.classes:,}; is the column of labels right?")
        wrong = next(((name, why) for name in classes if (why := bad_name(name))), None)
        if wrong is not None:
            refuse(f"the class {wrong[0][:40]!a} {wrong[1]}", "Give it a shorter, plain name.")
        return classes

    def _declare(self, names: Labels | None) -> None:
        self._declared = self._declared or names

    def _number(self, said: tuple[Part, ...]) -> str:
        return str(self._numbers.setdefault(said, len(self._numbers)))


def is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _check_types(arrow: Any, where: LabelColumns) -> None:
    """Raise `InvalidDataset` for a column that can hold no labels, such as lists of structs or of lists."""
    for column in where.names:
        kind = arrow.field(column).type
        inner = kind.value_type if is_list(kind) else kind
        if not (is_label(inner) or pa.types.is_null(inner)):
            what = f"column {column!r} is {kind}, which holds no labels"
            refuse(what, f"Write a list of class names or numbers in column {column!r}.", column=column)


def _path(image: Any) -> str:
    return "/".join(getattr(image, "parts", (str(image),)))
