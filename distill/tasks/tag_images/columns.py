"""Which columns of a table hold the labels: one column of lists, or a column of 0 and 1 for each class. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.data.columns import EMBEDDED, FLAGS, LABELS, PATHS, PERHAPS_SPLITS, SPLITS, find, found, is_index, key
from distill.data.labelled import yes_or_no
from distill.data.row_checks import refuse
from distill.tasks.tag_images.cells import Labels, Part, part_of

PLURAL = (
    *("labels", "tags", "classes", "categories", "attributes", "class_names", "label_names", "genres", "concepts"),
    *("findings", "topics", "keywords"),
)
"""Columns whose name says that a cell may hold several labels."""
NAMES = tuple(dict.fromkeys((*PLURAL, "tag", "attribute_ids", *LABELS)))
NESTED = frozenset(map(key, NAMES))


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """`listed`: the column of lists; None: `flags`, a column of 0 and 1 for each class."""

    listed: str | None
    flags: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.flags if self.listed is None else (self.listed,)

    def read(self, row: Mapping[str, Any], number: int, name: str, names: Labels | None = None) -> Part:
        """What a row says. Raises `InvalidDataset` for cells that cannot be meant."""
        if self.listed is not None:
            return part_of(row.get(self.listed), number, name, names)
        return tuple(column for column in self.flags if _set(row.get(column), column, number, name))


def _set(value: Any, column: str, number: int, name: str) -> bool:
    said = yes_or_no(value)
    if said is None:
        what = f"row {number} of {name} has {str(value)[:40]!r} in column {column!r}, neither 0 nor 1"
        refuse(what, "Write 1 where the picture has the class and 0 where it has not.", row=number, column=column)
    return said


def label_columns(columns: Sequence[str], first: Mapping[str, Any], nested: Sequence[str] = ()) -> LabelColumns | None:
    """Where a table with these columns and this first row has its labels; `nested`: columns whose type is a list. A
    column of `NAMES` counts before columns of 0 and 1, unless it is one of three or more of these. None: nowhere."""
    flags = _flags(columns, first)
    lists = find([column for column in columns if column in nested], NAMES)
    listed = lists or find(columns, NAMES)
    if listed is not None and not (listed in flags and len(flags) > 2):
        return LabelColumns(listed)
    return LabelColumns(None, flags) if len(flags) > 1 else None


def _flags(columns: Sequence[str], first: Mapping[str, Any]) -> tuple[str, ...]:
    taken = set(found(columns, (*PATHS, *EMBEDDED, *SPLITS, *PERHAPS_SPLITS, *FLAGS)))
    others = [column for column in columns if column not in taken and not is_index(column)]
    return tuple(column for column in others if yes_or_no(first.get(column)) is not None)
