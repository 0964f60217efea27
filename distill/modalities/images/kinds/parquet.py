"""Parquet with an image and a class in each row: `image` ({bytes, path}, as `datasets` writes it, or the encoded bytes)
and `label`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from distill.data.columns import EMBEDDED, find
from distill.data.files import paths_of
from distill.data.labelled import SplitColumns, split_columns, unused_columns
from distill.data.limits import Limits
from distill.data.parquet import ParquetLimits, bytes_of, is_bytes, is_string, parquet_file
from distill.data.split_names import split_of
from distill.errors import InvalidDataset
from distill.modalities.images.kind import Opened
from distill.modalities.images.kinds._rows import ImageRows, opened
from distill.modalities.images.labelling import ONE_CLASS, Cells, Labelling
from distill.modalities.images.pack import Pack
from distill.modalities.images.shards.refusal import naming
from distill.types import DatasetInput

_ROWS = 64  # a batch is expanded in memory: a dictionary page of a few KiB can stand for as many of the largest images
REMEDY = "Write a column `image` (a struct with `bytes`, or the encoded bytes) and a column `label`."
EMBED = (
    "Write the images' bytes into the file: `dataset.with_format('arrow').map(datasets.table.embed_table_storage, "
    "batched=True)` before `to_parquet`; or pack the image files and a table of their names in a zip."
)

DECODE = (
    "If it is base64, decode it: `df['image'] = df['image'].map(base64.b64decode)`; if these are paths, pack the image "
    "files and this table (as CSV) in a zip."
)


def open_parquet(
    dataset: DatasetInput, limits: Limits, scratch: Path | None, labelling: Labelling = ONE_CLASS
) -> Opened:
    """Files by role; a role's path may be a folder of shards, read in name order, whose names may say splits. A split
    column divides a file that is the whole. Class names come from the schema's `huggingface` metadata, else they are
    what the label column holds. Numbers mean what the names of their own file say: files may number the same classes
    differently, and the first one's order holds."""
    paths = paths_of(dataset, unlabelled=True)
    return opened(
        {role: _read(path, role, limits, scratch, labelling) for role, path in paths.items()}, limits, labelling
    )


def _refuse(what: str, remedy: str = REMEDY, **details: object) -> NoReturn:
    raise InvalidDataset(f"The parquet file was refused: {what}.", remedy, details)


@dataclass(frozen=True, slots=True)
class _Schema:
    """Which columns of a file are read; `label` is None where no row has one. `struct`: the image column's type where
    it is one; `whole`: the split that the file's own name says."""

    image: str
    struct: Any
    label: Cells | None
    split: SplitColumns | None
    whole: str | None
    unused: tuple[str, ...]


def _read(path: Path, role: str, limits: Limits, scratch: Path | None, labelling: Labelling) -> ImageRows:
    shards = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not shards:
        _refuse("the folder holds no *.parquet files", "Name a parquet file, or a folder of them.")
    found = ImageRows(role)
    by_name = path.is_dir() and role == "all" and all(split_of(shard.stem) for shard in shards)
    with Pack(scratch) as pack:
        for shard in shards:
            with naming(shard.name, remedy=None) if path.is_dir() else nullcontext():
                _shard(shard, split_of(shard.stem) if by_name else None, found, pack, limits, labelling)
            _check_ratio(pack, shards, limits)
        found.images = pack.finish()
    return found


def rows_of(path: Path, limits: Limits, scratch: Path | None, called: str = "") -> ImageRows:
    """The rows of one file, which users know as `called`, as they lie in it, with its images packed in a file under
    `scratch`. Raises `InvalidDataset`."""
    found = ImageRows("all")
    with Pack(scratch, memory_bytes=0) as pack:
        _shard(path, None, found, pack, limits, called=called)
        found.images = pack.finish()
    return found


def _shard(
    path: Path, whole: str | None, found: ImageRows, pack: Pack, limits: Limits, labelling: Labelling = ONE_CLASS,
    called: str = "",
) -> None:  # fmt: skip
    caps = ParquetLimits(limits.members, limits.row_group_bytes, limits.total_bytes)
    with parquet_file(path, caps) as file:
        schema = _schema(file, whole, labelling)
        found.names, found.unused = found.names or (schema.label.names if schema.label else None), schema.unused
        first = 0  # rows count within their own file
        for batch in file.iter_batches(batch_size=_ROWS, columns=_wanted(schema)):
            _take(batch, schema, first, found, pack, called or path.name, limits)
            _check_ratio(pack, [path], limits)
            first += len(batch)


def _schema(file: Any, whole: str | None, labelling: Labelling) -> _Schema:
    arrow = file.schema_arrow
    columns: list[str] = list(arrow.names)
    image = find(columns, EMBEDDED) or _binary(arrow) or _missing("image", columns)
    _check_image(arrow.field(image).type, image)
    first = _first_row(file, columns, image)
    label = labelling.cells(arrow, [column for column in columns if column != image], first)
    kind, read = arrow.field(image).type, (image, *(label.columns if label else ()))
    split = None if whole else split_columns(columns, {name: first[name] for name in first if name not in read})
    unused = unused_columns(columns, read, split)
    if label is None and unused:  # one of them may hold the classes
        _missing("label", columns)
    struct = kind if pa.types.is_struct(kind) else None
    return _Schema(image, struct, label, split, whole, unused)


def _wanted(schema: _Schema) -> list[str]:
    split = (schema.split.name, *schema.split.flags) if schema.split else ()
    fields = [schema.struct.field(i).name for i in range(schema.struct.num_fields)] if schema.struct else []
    images = [f"{schema.image}.{field}" for field in fields if field in ("bytes", "path")] or [schema.image]
    return [*images, *(schema.label.columns if schema.label else ()), *(column for column in split if column)]


def _binary(arrow: Any) -> str | None:
    """The one column that holds bytes, whatever it is called."""
    found = [name for name in arrow.names if is_bytes(bytes_of(arrow.field(name).type))]
    return found[0] if len(found) == 1 else None


def _missing(wanted: str, columns: Sequence[str]) -> NoReturn:
    remedy = f"Name the column with the {'encoded images' if wanted == 'image' else 'classes'} {wanted!r}."
    remedy += "" if wanted == "image" else " If the images have no classes, leave the other columns out."
    _refuse(f"it has no column {wanted!r} (its columns: {', '.join(columns[:10])})", remedy, columns=list(columns)[:50])


def _first_row(file: Any, columns: Sequence[str], image: str) -> Mapping[str, Any]:
    """The first row's plain values beside its image."""
    plain = [name for name in columns if name != image and not pa.types.is_nested(file.schema_arrow.field(name).type)]
    batch = next(file.iter_batches(batch_size=1, columns=plain), None) if plain else None
    rows = batch.to_pylist() if batch is not None else []
    return rows[0] if rows else {}


def _check_image(image: Any, name: str) -> None:
    if not is_bytes(bytes_of(image)):
        paths = pa.types.is_struct(image) and image.get_field_index("path") >= 0
        what = f"column {name!r} holds {'paths of images, ' * paths}no encoded bytes (its type is {image})"
        _refuse(what, DECODE if is_string(image) else EMBED if pa.types.is_struct(image) else REMEDY)


def _take(batch: Any, schema: _Schema, first: int, found: ImageRows, pack: Pack, file: str, limits: Limits) -> None:
    images = batch.column(schema.image)
    contents = images.field("bytes") if schema.struct else images
    paths = images.field("path") if schema.struct and images.type.get_field_index("path") >= 0 else None
    for i, row in enumerate(_plain_rows(batch, schema)):
        number = first + i
        split = schema.whole or (schema.split.read(row, number, file) if schema.split else None)
        if not found.keeps(split):
            continue
        label = schema.label.read(row, number, file) if schema.label else None
        name = f"row {number}" if found.role == "all" and not schema.whole else f"{file} row {number}"
        pack.add(_content(contents[i], paths and paths[i], number, file, limits), name)
        found.add(label, split, number, file)


def _plain_rows(batch: Any, schema: _Schema) -> Iterator[dict[str, Any]]:
    names = [name for name in batch.schema.names if name != schema.image]
    values = [batch.column(name).to_pylist() for name in names]
    return ({name: column[i] for name, column in zip(names, values, strict=True)} for i in range(len(batch)))


def _content(value: Any, path: Any, number: int, file: str, limits: Limits) -> bytes:
    if not value.is_valid:
        said = path.as_py() if path is not None else None
        what = f"has only the path {str(said)[:200]!r} of its image, no bytes" if said else "has no image"
        remedy = EMBED if said else "Remove the rows without an image and write the file again."
        _refuse(f"row {number} of {file} {what}", remedy, row=number, file=file)
    buffer = value.as_buffer()
    if buffer.size > limits.file_bytes:
        _refuse(f"the image of row {number} has {buffer.size:,} bytes", "Scale it down.", row=number)
    data: bytes = buffer.to_pybytes()
    return data


def _check_ratio(pack: Pack, shards: list[Path], limits: Limits) -> None:
    """Dictionary encoding writes an image once however many rows have it."""
    packed = sum(shard.stat().st_size for shard in shards)
    if pack.total_bytes > limits.ratio_free_bytes and pack.total_bytes > limits.ratio * packed:
        what = f"its images have more than {limits.ratio:g} times its size"
        _refuse(what, "Write each image once.", ratio=limits.ratio)


ENTRY = open_parquet
