"""Tables of texts among tables of images: told by their columns, so that nobody has to say which it is. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.data.columns import ANSWER, CHATS, EMBEDDED, INSTRUCTION, PAIRS, TEXT, find
from distill.data.files import paths_of
from distill.data.tables import columns, holds_bytes
from distill.errors import InvalidDataset
from distill.modalities.text.records import Kind
from distill.modalities.text.tables import LIMITS
from distill.types import DatasetInput

TABLES = frozenset({"table", "parquet"})
_IMAGES = tuple(name for name in EMBEDDED if name != "data")  # beside a text, `data` is no image


def kind_of(dataset: DatasetInput) -> Kind | None:
    """What a table is whose columns hold texts, pairs or instructions and no images, by its training file; None for
    anything else. Whether they can be learnt from, their own reader says. Raises `InvalidDataset` for files that are
    not there."""
    if dataset.kind not in TABLES | {"text"}:
        return None
    kinds = {role: _kind(path) for role, path in paths_of(dataset).items()}
    return None if None in kinds.values() else kinds.get("all") or kinds["train"]


def recognised(dataset: DatasetInput) -> DatasetInput:
    """The dataset as `as_text` makes it where `kind_of` says what it is; else as it is. Raises `InvalidDataset` for
    files that are not there."""
    return dataset if kind_of(dataset) is None else as_text(dataset)


def as_text(dataset: DatasetInput) -> DatasetInput:
    """The dataset with kind `text`."""
    return dataset.model_copy(update={"kind": "text"})


def _kind(path: Path) -> Kind | None:
    if path.is_dir():  # shards of images
        return None
    try:
        names = columns(path, LIMITS)
        return None if find(names, _IMAGES) or holds_bytes(path, LIMITS) else kind_of_columns(names)
    except InvalidDataset:  # no table: what it is instead, its own reader says
        return None


def kind_of_columns(names: Sequence[str]) -> Kind | None:
    """What columns of these names make: conversations or instructions, texts or pairs (labelled or not), or nothing."""
    if find(names, CHATS) or (find(names, INSTRUCTION) and find(names, ANSWER)):
        return "generate"
    pairs = any(all(find(names, (name,)) for name in pair) for pair in PAIRS)
    return "classify" if pairs or find(names, TEXT) else None
