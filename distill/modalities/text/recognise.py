"""Tables of texts among tables of images: told by their columns, so that nobody has to say which it is. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.data.columns import ANSWER, CHATS, EMBEDDED, INSTRUCTION, PAIRS, TEXT, find
from distill.data.files import paths_of
from distill.data.tables import columns, holds_bytes
from distill.errors import InvalidDataset
from distill.modalities.text.tables import LIMITS
from distill.types import DatasetInput

TABLES = frozenset({"table", "parquet"})
_IMAGES = tuple(name for name in EMBEDDED if name != "data")  # beside a text, `data` is no image


def recognised(dataset: DatasetInput) -> DatasetInput:
    """The dataset with kind `text` where it is a table whose columns hold texts, pairs or instructions and no images;
    else as it is. Whether the texts can be learnt from, their own reader says. Raises `InvalidDataset` for files that
    are not there."""
    if dataset.kind not in TABLES:
        return dataset
    if not all(_has_texts(path) for path in paths_of(dataset).values()):
        return dataset
    return dataset.model_copy(update={"kind": "text"})


def _has_texts(path: Path) -> bool:
    if path.is_dir():
        return False
    try:
        names = columns(path, LIMITS)
        return holds_texts(names) and find(names, _IMAGES) is None and not holds_bytes(path, LIMITS)
    except InvalidDataset:  # no table: what it is instead, its own reader says
        return False


def holds_texts(names: Sequence[str]) -> bool:
    """Whether columns of these names make texts, pairs, instructions or conversations, labelled or not."""
    if find(names, CHATS) or find(names, TEXT):
        return True
    pairs = any(all(find(names, (name,)) for name in pair) for pair in PAIRS)
    return pairs or bool(find(names, INSTRUCTION) and find(names, ANSWER))
