"""Tables of texts among tables of images: told by their columns, so that nobody has to say which it is. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.data.files import paths_of
from distill.data.rows import FORMS, form_of
from distill.errors import InvalidDataset
from distill.modalities.text.records import reader
from distill.modalities.text.tables import columns
from distill.types import DatasetInput

TABLES = frozenset({"table", "parquet"})
IMAGES = frozenset({"image", "img", "image_base64", "url", "image_url", "file", "file_name", "path"})


def recognised(dataset: DatasetInput) -> DatasetInput:
    """The dataset with kind `text` where it is a csv, jsonl or parquet whose columns make labelled texts, pairs or
    instructions and hold no images; else as it is. Raises `InvalidDataset` for files that are not there."""
    if dataset.kind not in TABLES:
        return dataset
    paths = paths_of(dataset)
    if not all(_has_texts(path) for path in paths.values()):
        return dataset
    named = {role: str(_named(path)) for role, path in paths.items()}
    return dataset.model_copy(update={"kind": "text", "files": named})


def _has_texts(path: Path) -> bool:
    try:
        names = columns(_named(path))
        reader(names)
    except InvalidDataset:  # no text table: what it is instead, its own reader says
        return False
    return IMAGES.isdisjoint(names)


def _named(path: Path) -> Any:
    """The path under a name that tells its format; an uploaded file may have none."""
    if path.suffix.lower() in {*FORMS, ".parquet"}:
        return path
    with path.open("rb") as file:
        suffix = ".parquet" if file.read(4) == b"PAR1" else f".{form_of(path)}"
    link = path.with_name(path.name + suffix)
    if not link.exists():
        link.hardlink_to(path)
    return link
