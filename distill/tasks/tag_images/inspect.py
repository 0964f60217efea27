"""Images with a list of labels each: a parquet column of lists, a table beside or around images."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.columns import EMBEDDED, LABELS, PATHS, find
from distill.data.columns import found as found_columns
from distill.data.files import paths_of
from distill.data.labelled import row_limits
from distill.data.limits import DEFAULT
from distill.data.parquet import bytes_of, is_bytes, is_label
from distill.data.row_checks import Row
from distill.data.rows import HEAD_BYTES, form_of, read_rows
from distill.data.tables import rows_of
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import content, members_of
from distill.modalities.images.paths import is_junk
from distill.tasks.inspection import Likeness, Room
from distill.tasks.tag_images import SPEC
from distill.tasks.tag_images.columns import NESTED, PLURAL, LabelColumns, label_columns
from distill.tasks.tag_images.labelling import is_list
from distill.tasks.tag_images.opening import KINDS
from distill.tasks.tag_images.report import inspect as inspect_tags
from distill.types import DatasetInput

_TABLES = 20  # of an archive
_LOOKED_AT = 100  # rows of a table, for a list or a separator among its labels
_FIRM = ("|", ";")
"""Separators that no single class's name has; a comma may be part of one."""


def recognise(dataset: DatasetInput) -> Likeness:
    """Sure where the first rows of the files say it: a column of lists, be they of one label each; a column whose name
    is of several labels (`labels`, `tags`) and holds separated ones; or no column of classes and two or more of 0 and
    1. Else only where the task is asked for by name: a plain column may hold separated labels too."""
    if dataset.kind not in KINDS:
        return Likeness.NO
    if dataset.task == SPEC.name:
        return Likeness.SURE
    try:
        return Likeness.SURE if all(map(_of_lists, paths_of(dataset).values())) else Likeness.NO
    except (InvalidDataset, pa.ArrowException, OSError):  # what is wrong with them, a reader says
        return Likeness.NO


def _of_lists(path: Path) -> bool:
    kinds = {"PAR1": _parquet, "PK\x03\x04": _archive}
    if path.is_dir() and any(path.glob("*.parquet")):
        return _parquet(path)
    if path.is_dir():
        return _archive(path)
    with path.open("rb") as file:
        head = file.read(4).decode("latin-1")
    return kinds.get(head, _other)(path)


def _parquet(path: Path) -> bool:
    shard = min(path.glob("*.parquet")) if path.is_dir() else path
    with pq.ParquetFile(shard) as file:
        arrow = file.schema_arrow
        names = [name for name in arrow.names if not is_bytes(bytes_of(arrow.field(name).type))]
        if len(names) == len(arrow.names):
            return False  # no images
        nested = [name for name in names if is_list(arrow.field(name).type) and _holds_labels(arrow.field(name).type)]
        plain = [name for name in names if not pa.types.is_nested(arrow.field(name).type)]
        batch = next(file.iter_batches(batch_size=1, columns=plain), None) if plain else None
        first = dict.fromkeys(names) | (batch.to_pylist()[0] if batch is not None and len(batch) else {})
    where = label_columns([*plain, *nested], first, nested)
    return where is not None and (where.listed in nested or _plainly_flags(where, first))


def _holds_labels(kind: Any) -> bool:
    return is_label(kind.value_type) or bool(pa.types.is_null(kind.value_type))


def _other(path: Path) -> bool:
    """A tar, or a table with images in it."""
    try:
        return _archive(path)
    except InvalidDataset:
        caps = replace(row_limits(DEFAULT, DEFAULT.file_bytes * 4 // 3 + 100), nested=NESTED)
        rows = list(islice(rows_of(path, caps, "the file"), _LOOKED_AT))
        return bool(rows) and find(rows[0], EMBEDDED) is not None and _several(rows)


def _archive(path: Path) -> bool:
    """Whether a table of its images has several labels a row."""
    members = members_of(path, DEFAULT, None)
    plain = [file for file in members.files if file.position >= 0 and not is_junk(file.parts)]
    images = {name for file in plain if file.image for name in (file.parts[-1], PurePosixPath(file.parts[-1]).stem)}
    tables = [file for file in plain if file.is_table and not file.image]
    found = (_rows(content(members, file), file.parts[-1]) for file in tables[:_TABLES]) if images else ()
    return any(rows and _names_one(rows[0], images) and _several(rows) for rows in found)


def _names_one(row: Row, images: set[str]) -> bool:
    """Whether a cell of a known name is the name of one of the images, with or without its ending or folders."""
    return any(str(row[column]).strip().rpartition("/")[2] in images for column in found_columns(row, PATHS))


def _rows(data: bytes, name: str) -> list[Row]:
    stream = io.BytesIO(data)
    caps = replace(row_limits(DEFAULT, 4096), nested=NESTED)
    try:
        return list(islice(read_rows(stream, form_of(data[:HEAD_BYTES]), caps, name), _LOOKED_AT))
    except InvalidDataset:
        return []


def _several(rows: list[Row]) -> bool:
    """Whether these rows have a list of labels each."""
    first = rows[0]
    where = label_columns(list(first), first, [column for column in first if isinstance(first[column], list)])
    if where is None or where.listed is None:
        return where is not None and _plainly_flags(where, first)
    values = [row.get(where.listed) for row in rows]
    if any(isinstance(value, list) for value in values):
        return True
    texts = [value for value in values if isinstance(value, str)]
    return where.listed == find(first, PLURAL) and any(_separated(text) for text in texts)


def _separated(text: str) -> bool:
    return text.lstrip().startswith("[") or any(separator in text for separator in _FIRM)


def _plainly_flags(where: LabelColumns, first: Row) -> bool:
    """Whether there is no column that may hold one class an image, of 0 and 1 or not."""
    return len(where.flags) > 1 and find(first, LABELS) is None


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    return inspect_tags(dataset, scratch=room.scratch, sheet=room.sheet)
