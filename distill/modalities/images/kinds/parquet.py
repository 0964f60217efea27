"""Parquet in the Hugging Face image layout: `image` {bytes, path} and `label`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.files import paths_of
from distill.data.labelled import bad_name, ordered
from distill.data.limits import Limits
from distill.errors import DISK_FULL, InvalidDataset
from distill.modalities.images.kinds._base import Items, Opened
from distill.modalities.images.pack import Pack
from distill.types import DatasetInput

_IMAGE = ("image", "img")
_LABEL = ("label", "labels", "fine_label", "class")
_ROWS = 64  # a batch is expanded in memory: a dictionary page of a few KiB can stand for as many of the largest images
REMEDY = "Write a column `image` (a struct with `bytes`, or the encoded bytes) and an integer or text column `label`."


def open_parquet(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Opened:
    """Files by role; a role's path may be a folder of shards, read in name order. Class names come from the schema's
    `huggingface` metadata, from the labels where they are text, else they are the numbers. Numbers mean what the names
    of their own file say: files may number the same classes differently, and the first one's order holds."""
    splits: dict[str, Items] = {}
    names: tuple[str, ...] | None = None
    raw: dict[str, list[Any]] = {}
    for role, path in paths_of(dataset).items():
        split = "train" if role == "all" else role
        with Pack(scratch) as pack:
            raw[split], found = _read(path, pack, limits)
            splits[split] = Items(pack.finish(), np.zeros(0, np.int64))
        names = names or found
    classes = names or _classes(raw["train"])
    labelled = {split: Items(splits[split].images, _labels(raw[split], classes, split)) for split in splits}
    _check_classes(classes, labelled["train"].labels, limits)
    return Opened(classes, labelled)


def _refuse(what: str, **details: object) -> NoReturn:
    raise InvalidDataset(f"The parquet file was refused: {what}.", REMEDY, details)


def _read(path: Path, pack: Pack, limits: Limits) -> tuple[list[Any], tuple[str, ...] | None]:
    labels: list[Any] = []
    names: tuple[str, ...] | None = None
    shards = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not shards:
        _refuse("the folder holds no *.parquet files")
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                own, first = _names(file.schema_arrow), len(labels)
                for rows in _rows(file, limits):
                    _take(rows, pack, labels, limits)
                    _check_ratio(pack, shards, limits)
                if own:
                    labels[first:] = [_named(*each, own, shard.name) for each in enumerate(labels[first:])]
                    names = names or own
        except (InvalidDataset, MemoryError):
            raise
        except Exception as error:  # Arrow's readers raise many kinds on damaged files
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            _refuse(f"it cannot be read ({str(error)[:200]})", file=shard.name)
    return labels, names


def _rows(file: Any, limits: Limits) -> Iterator[tuple[Any, Any]]:
    meta = file.metadata
    if meta.num_rows > limits.members:
        _refuse(f"it has {meta.num_rows:,} rows, more than {limits.members:,}", rows=meta.num_rows)
    sizes = [meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)]
    if max(sizes, default=0) > limits.row_group_bytes:
        _refuse(f"a row group has {max(sizes):,} bytes, more than {limits.row_group_bytes:,}; write smaller ones")
    if sum(sizes) > limits.total_bytes:
        _refuse(f"it holds {sum(sizes):,} bytes, more than {limits.total_bytes:,}")
    columns = file.schema_arrow.names
    image, label = _column(columns, _IMAGE), _column(columns, _LABEL)
    kind = file.schema_arrow.field(image).type
    leaf = f"{image}.bytes" if pa.types.is_struct(kind) else image
    _check_types(kind, file.schema_arrow.field(label).type, image, label)
    for batch in file.iter_batches(batch_size=_ROWS, columns=[leaf, label]):
        column = batch.column(image)
        yield (column.field("bytes") if pa.types.is_struct(column.type) else column), batch.column(label)


def _column(columns: list[str], wanted: tuple[str, ...]) -> str:
    found = next((name for name in wanted if name in columns), None)
    if found is None:
        _refuse(f"it has no column {wanted[0]!r} (its columns: {', '.join(columns[:10])})", columns=columns[:50])
    return found


def _check_types(image: Any, label: Any, image_name: str, label_name: str) -> None:
    binary = (pa.types.is_binary, pa.types.is_large_binary)
    if pa.types.is_struct(image):
        index = image.get_field_index("bytes")
        image = image.field(index).type if index >= 0 else pa.null()
    if not any(test(image) for test in binary):
        _refuse(f"column {image_name!r} holds no encoded bytes")
    if not any(test(label) for test in (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)):
        _refuse(f"column {label_name!r} is {label}, neither integer nor text")


def _take(rows: tuple[Any, Any], pack: Pack, labels: list[Any], limits: Limits) -> None:
    images, column = rows
    if images.null_count or column.null_count:
        missing = "images" if images.null_count else "labels"
        _refuse(f"it has rows without {missing}, the first near row {len(labels)}", row=len(labels))
    for data, label in zip(images, column.to_pylist(), strict=True):
        buffer = data.as_buffer()
        if buffer.size > limits.file_bytes:
            _refuse(f"the image of row {len(labels)} has {buffer.size:,} bytes", row=len(labels))
        if isinstance(label, str) and (why := bad_name(label)):
            _refuse(f"the class of row {len(labels)} {why}", row=len(labels))
        pack.add(buffer.to_pybytes(), f"row {len(labels)}")
        labels.append(label)


def _check_ratio(pack: Pack, shards: list[Path], limits: Limits) -> None:
    """Dictionary encoding writes an image once however many rows have it."""
    packed = sum(shard.stat().st_size for shard in shards)
    if pack.total_bytes > limits.ratio_free_bytes and pack.total_bytes > limits.ratio * packed:
        _refuse(f"its images have more than {limits.ratio:g} times its size", ratio=limits.ratio)


def _names(schema: Any) -> tuple[str, ...] | None:
    """Class names from the metadata that the `datasets` library writes; None where there are none."""
    text = (schema.metadata or {}).get(b"huggingface", b"")
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        features = json.loads(text)["info"]["features"]
        label = next(name for name in _LABEL if name in schema.names)
        names = features[label]["names"]
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            if len(set(names)) < len(names):
                _refuse("its metadata name a class twice", names=names[:50])
            if why := next(filter(None, map(bad_name, names)), None):
                _refuse(f"a class that its metadata name {why}")
            return tuple(names)
    return None


def _named(row: int, label: int | str, names: tuple[str, ...], file: str) -> str:
    if isinstance(label, str):
        return label
    if not 0 <= label < len(names):
        _refuse(f"label {label} of {file} row {row} is none of its {len(names)} class names", row=row, file=file)
    return names[label]


def _classes(labels: list[Any]) -> tuple[str, ...]:
    if labels and isinstance(labels[0], str):
        return ordered(labels)
    return tuple(str(i) for i in range(max(labels, default=-1) + 1)) if max(labels, default=0) < 10**6 else ()


def _labels(raw: list[Any], classes: tuple[str, ...], split: str) -> np.typing.NDArray[np.int64]:
    if not raw:
        _refuse(f"its split {split!r} has no rows")
    number = {name: i for i, name in enumerate(classes)}
    labels = [number.get(label, -1) if isinstance(label, str) else label for label in raw]
    bad = next((i for i, label in enumerate(labels) if not 0 <= label < len(classes)), None)
    if bad is not None:
        _refuse(f"label {str(raw[bad])[:40]!r} of {split} row {bad} is none of the {len(classes)} classes", row=bad)
    return np.array(labels, np.int64)


def _check_classes(classes: tuple[str, ...], labels: np.typing.NDArray[np.int64], limits: Limits) -> None:
    if len(classes) < 2:
        _refuse("it has fewer than 2 classes", classes=list(classes))
    if len(classes) > limits.classes:
        _refuse(f"it has {len(classes)} classes, more than {limits.classes}")
    counts = np.bincount(labels, minlength=len(classes))
    empty = [classes[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        _refuse(f"{len(empty)} classes have no images ({', '.join(empty[:3])})", classes=empty[:20])


ENTRY = open_parquet
