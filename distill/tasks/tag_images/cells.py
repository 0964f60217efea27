"""What one cell of a table says of a picture's labels: a list, a text of separated labels, or nothing. Torch-free."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from distill.data.labelled import label_of, named_label
from distill.data.parquet import named
from distill.data.row_checks import refuse

Labels = tuple[str, ...]
Part = str | Labels
"""A text whose separator the whole column tells, or labels as they are, doubled ones included."""

SEPARATORS = ("|", ";", ",")
"""Between the labels of a text: the first of these that any cell of the column has (**our choice**)."""
_NUMBERS = re.compile(r"\d+(\s+\d+)+")
_NEGATIVE = re.compile(r"-\d+(\.0+)?")
_LIST_CHARACTERS = 1 << 16
_SAID_BY_ROW = "row {number} of {name} has {shown} among its labels"
_NUMBER_REMEDY = "Write labels as names, or as numbers from 0; leave the list empty where a picture has none."


def part_of(value: Any, number: int, name: str, names: Labels | None = None) -> Part:
    """What a cell says. None, and a text without anything in it, are no label; a text in square brackets is a list of
    JSON or of Python. `names`: what numbers mean. Raises `InvalidDataset`, by row, for values that are no labels."""
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return text
        value = _listed(text, number, name)
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(_label(each, number, name, names) for each in values)


def _label(value: Any, number: int, name: str, names: Labels | None) -> str:
    found = named(value, names, name, number) if names is not None and value != -1 else value
    label = None if isinstance(found, bool) else named_label(found, number, name)
    if label is None or _NEGATIVE.fullmatch(label):
        shown = repr(value)[:40]
        refuse(_SAID_BY_ROW.format(number=number, name=name, shown=shown), _NUMBER_REMEDY, row=number)
    return label


def _listed(text: str, number: int, name: str) -> list[Any]:
    """A list of JSON, or as Python and pandas write one: `['cat', 'dog']`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _python_list(text)
    if not isinstance(found, list):
        what = f"row {number} of {name} has {text[:40]!a}, which begins as a list and is none"
        refuse(what, 'Write ["cat", "dog"], or cat|dog.', row=number)
    return found


def _python_list(text: str) -> Any:
    if len(text) > _LIST_CHARACTERS or text.count("[") > 1:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def separator_of(texts: Iterable[str]) -> str | None:
    """What separates labels in a column of these texts: the first of `SEPARATORS` that one of them has; "" for white
    space, where all that has some are numbers; None where each text is one label."""
    every = list(texts)
    for separator in SEPARATORS:
        if any(separator in text for text in every):
            return separator
    spaced = [text for text in every if len(text.split()) > 1]
    return "" if spaced and all(_NUMBERS.fullmatch(text) for text in spaced) else None


def labels_of(part: Part, separator: str | None) -> Labels:
    """The labels of a part, doubled ones included. Raises `InvalidDataset` for a number below 0."""
    if not isinstance(part, str):
        return part
    pieces: Sequence[str] = [part] if separator is None else part.split(separator or None)
    found = tuple(label for piece in pieces if (label := label_of(piece)) is not None)
    wrong = next((label for label in found if _NEGATIVE.fullmatch(label)), None)
    if wrong is not None:
        refuse(f"the labels {part[:40]!a} hold the number {wrong}", _NUMBER_REMEDY, label=wrong)
    return found
