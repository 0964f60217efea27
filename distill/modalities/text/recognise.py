"""Tables of texts among tables of images: told by their columns, so that nobody has to say which it is. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.data.files import paths_of
from distill.data.rows import FORMS, form_of
from distill.errors import InvalidDataset
from distill.modalities.text.records import KINDS, Kind, reader
from distill.modalities.text.tables import columns
from distill.types import DatasetInput

TABLES = frozenset({"table", "parquet"})
IMAGES = frozenset({"image", "img", "image_base64", "url", "image_url", "file", "file_name", "path"})


def kind_of(dataset: DatasetInput) -> Kind | None:
    """What a csv, jsonl or parquet is whose columns make labelled texts, pairs or instructions and hold no images, by
    its training file; None for anything else. Raises `InvalidDataset` for files that are not there."""
    if dataset.kind not in TABLES | {"text"}:
        return None
    kinds = {role: _kind(path) for role, path in paths_of(dataset).items()}
    return None if None in kinds.values() else kinds.get("all") or kinds["train"]


def recognised(dataset: DatasetInput) -> DatasetInput:
    """The dataset as `as_text` makes it where `kind_of` says what it is; else as it is. Raises `InvalidDataset` for
    files that are not there."""
    return dataset if kind_of(dataset) is None else as_text(dataset)


def as_text(dataset: DatasetInput) -> DatasetInput:
    """The dataset with kind `text` and files whose names tell their formats."""
    named = {role: str(_named(path)) for role, path in paths_of(dataset).items()}
    return dataset.model_copy(update={"kind": "text", "files": named})


def _kind(path: Path) -> Kind | None:
    if path.is_dir():  # shards of images
        return None
    try:
        names = columns(_named(path))
        form, _ = reader(names)
    except InvalidDataset:  # no text table: what it is instead, its own reader says
        return None
    return KINDS[form] if IMAGES.isdisjoint(names) else None


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
