"""Parquet with an encoded image and an encoded mask a row: columns `image` and `annotation` or `mask`. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.labelled import (
    SplitColumns,
    check_role,
    held_out,
    split_columns,
    split_notes,
    unused_columns,
    unused_notes,
)
from distill.data.limits import Limits
from distill.data.parquet import ParquetLimits, parquet_file
from distill.data.split_names import TRAIN, UNLABELLED
from distill.modalities.images.embedded import cells, check_ratio, column, content, leaves, shards
from distill.modalities.images.pack import Pack
from distill.modalities.images.sources import Picked, Source
from distill.tasks.segment_images.legend import refuse

IMAGE = ("image", "img", "pixel_values")
MASK = ("annotation", "mask", "label", "labels", "segmentation", "segmentation_mask", "seg_map")
"""`label` only where it holds encoded images: elsewhere it is a class."""
EMBED = (
    "Write the files' bytes into the table: `dataset.with_format('arrow').map(datasets.table.embed_table_storage, "
    "batched=True)` before `to_parquet`; or pack images/ and masks/ in a zip."
)
_ROWS = 32
Sources = tuple[Source, Source]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a file are read; `unused`: the others, row numbers left out."""

    image: str
    mask: str
    split: SplitColumns | None
    unused: tuple[str, ...]


def has_masks(path: Path) -> bool:
    """Whether the files have a column of images and one of masks. False for what cannot be read."""
    with suppress(OSError, ValueError, pa.ArrowException, IndexError):
        schema = pq.read_schema(shards(path)[0])
        return column(schema, IMAGE) is not None and column(schema, MASK) is not None
    return False


def open_parquet(
    paths: Mapping[str, Path], limits: Limits, scratch: Path | None
) -> tuple[dict[str, Sources], list[str]]:  # fmt: skip
    """Images and masks by split, with notes; a role's path may be a folder of shards, read in name order. A split
    column divides a file that is the whole. Raises `InvalidDataset`."""
    found, notes = dict[str, Sources](), list[str]()
    for role, path in paths.items():
        splits, unused = list[str](), dict[str, None]()
        with Pack(scratch) as images, Pack(scratch) as masks:
            for shard in shards(path):
                unused |= dict.fromkeys(_read(shard, role, splits, images, masks, limits))
                check_ratio(images.total_bytes + masks.total_bytes, shards(path), limits, refuse)
            sources = (images.finish(), masks.finish())
        notes += unused_notes(tuple(unused))
        if role == "all":
            notes += split_notes(Counter(splits))
        found |= _divided(sources, splits) if role == "all" else {role: sources}
    return {split: found[split] for split in sorted(found, reverse=True)}, notes


def _divided(sources: Sources, splits: Sequence[str]) -> dict[str, Sources]:
    if set(splits) == {TRAIN}:
        return {TRAIN: sources}
    if TRAIN not in splits:
        refuse("no row is of the split train", "Send rows of the split train.", splits=sorted(set(splits)))
    said, images, masks = np.array([split for split in splits if split != UNLABELLED]), *sources
    rows = {split: np.flatnonzero(said == name) for name, split in held_out(splits).items()}
    return {split: (Picked(images, those), Picked(masks, those)) for split, those in rows.items()}


def _read(shard: Path, role: str, splits: list[str], images: Pack, masks: Pack, limits: Limits) -> tuple[str, ...]:
    """Add a file's rows; gives the columns that nothing was read from."""
    with parquet_file(shard, ParquetLimits(limits.members, limits.row_group_bytes, limits.total_bytes)) as file:
        columns = _columns(file)
        for number, (image, mask, row) in enumerate(_rows(file, columns)):
            split = columns.split.read(row, number, shard.name) if columns.split else TRAIN
            check_role(role, split if columns.split else None, number, shard.name)
            splits.append(split)
            if split == UNLABELLED:
                continue
            images.add(content(image, "image", number, limits, refuse, EMBED), f"row {len(images)}")
            masks.add(content(mask, "mask", number, limits, refuse, EMBED), f"the mask of row {len(masks)}")
        return columns.unused


def _columns(file: Any) -> _Columns:
    schema = file.schema_arrow
    image, mask = column(schema, IMAGE), column(schema, MASK)
    if image is None or mask is None:
        what = f"the parquet file needs columns `image` and `annotation` or `mask` (its columns: {schema.names[:10]})"
        refuse(what, "Name the column of encoded images `image`, that of encoded masks `mask`.")
    plain = [
        name for name in schema.names if name not in (image, mask) and not pa.types.is_nested(schema.field(name).type)
    ]
    first = next(file.iter_batches(batch_size=1, columns=plain), None) if plain else None
    rows = first.to_pylist() if first is not None else []
    split = split_columns(plain, rows[0] if rows else {})
    return _Columns(image, mask, split, unused_columns(schema.names, (image, mask), split))


def _rows(file: Any, columns: _Columns) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Each row's image and mask, as (bytes, path), and its split columns."""
    said = [name for name in (columns.split.name, *columns.split.flags) if name] if columns.split else []
    schema = file.schema_arrow
    wanted = [leaf for name in (columns.image, columns.mask) for leaf in leaves(name, schema.field(name).type)]
    for batch in file.iter_batches(batch_size=_ROWS, columns=[*wanted, *said]):
        values = {name: batch.column(name).to_pylist() for name in said}
        pairs = zip(cells(batch.column(columns.image)), cells(batch.column(columns.mask)), strict=True)
        for i, (image, mask) in enumerate(pairs):
            yield image, mask, {name: values[name][i] for name in said}
