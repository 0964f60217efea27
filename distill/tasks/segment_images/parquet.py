"""Parquet with an encoded image and an encoded mask a row: columns `image` and `annotation` or `mask`. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.limits import Limits
from distill.data.parquet import ParquetLimits, bytes_of, is_bytes, parquet_file
from distill.modalities.images.pack import Pack
from distill.modalities.images.sources import Source
from distill.tasks.segment_images.legend import refuse

IMAGE = ("image", "img", "pixel_values")
MASK = ("annotation", "mask", "label", "labels", "segmentation", "segmentation_mask", "seg_map")
"""`label` only where it holds encoded images: elsewhere it is a class."""
_ROWS = 32


def has_masks(path: Path) -> bool:
    """Whether the files have a column of images and one of masks. False for what cannot be read."""
    with suppress(OSError, ValueError, pa.ArrowException, IndexError):
        schema = pq.read_schema(_shards(path)[0])
        return _column(schema, IMAGE) is not None and _column(schema, MASK) is not None
    return False


def open_parquet(
    paths: Mapping[str, Path], limits: Limits, scratch: Path | None
) -> dict[str, tuple[Source, Source]]:  # fmt: skip
    """Images and masks by split; a role's path may be a folder of shards, read in name order. Raises
    `InvalidDataset`."""
    found = {}
    for role, path in paths.items():
        with Pack(scratch) as images, Pack(scratch) as masks:
            for shard in _shards(path):
                _read(shard, images, masks, limits)
                _check_ratio(images.total_bytes + masks.total_bytes, path, limits)
            found["train" if role == "all" else role] = (images.finish(), masks.finish())
    return {split: found[split] for split in sorted(found, reverse=True)}


def _shards(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _column(schema: Any, wanted: tuple[str, ...]) -> str | None:
    """The first of the names whose column holds encoded bytes."""
    return next((n for n in wanted if n in schema.names and is_bytes(bytes_of(schema.field(n).type))), None)


def _read(shard: Path, images: Pack, masks: Pack, limits: Limits) -> None:
    with parquet_file(shard, ParquetLimits(limits.members, limits.row_group_bytes, limits.total_bytes)) as file:
        for image, mask in _rows(file):
            row = len(images)
            if image is None or mask is None:
                refuse(f"row {row} has no {'image' if image is None else 'mask'}", row=row)
            if max(len(image), len(mask)) > limits.file_bytes:
                refuse(f"row {row} has {max(len(image), len(mask)):,} bytes", row=row)
            images.add(image, f"row {row}")
            masks.add(mask, f"the mask of row {row}")


def _rows(file: Any) -> Iterator[tuple[bytes | None, bytes | None]]:
    schema = file.schema_arrow
    image, mask = _column(schema, IMAGE), _column(schema, MASK)
    if image is None or mask is None:
        refuse(f"the parquet file needs columns `image` and `annotation` or `mask` (its columns: {schema.names[:10]})")
    leaves = [f"{name}.bytes" if pa.types.is_struct(schema.field(name).type) else name for name in (image, mask)]
    for batch in file.iter_batches(batch_size=_ROWS, columns=leaves):
        yield from zip(_bytes(batch.column(image)), _bytes(batch.column(mask)), strict=True)


def _bytes(column: Any) -> list[bytes | None]:
    column = column.field("bytes") if pa.types.is_struct(column.type) else column
    found: list[bytes | None] = column.to_pylist()
    return found


def _check_ratio(total: int, path: Path, limits: Limits) -> None:
    """Dictionary encoding writes an image once however many rows have it."""
    on_disk = sum(shard.stat().st_size for shard in _shards(path))
    if total > limits.ratio_free_bytes and total > limits.ratio * on_disk:
        refuse(f"its images have more than {limits.ratio:g} times its size", ratio=limits.ratio)
