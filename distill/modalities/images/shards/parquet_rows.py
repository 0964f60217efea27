"""A shard of parquet: one row a sample, read by the reader of parquet files. Its images are kept one after the other,
since those within pages cannot be read at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from distill.data.limits import Limits
from distill.data.split_names import TRAIN, UNLABELLED
from distill.modalities.images.kinds.parquet import rows_of
from distill.modalities.images.shards.record import Record
from distill.modalities.images.shards.refusal import naming


@dataclass(frozen=True, slots=True)
class Rows:
    """`names`: what the file calls its classes, in order; None: it does not. `kept_bytes`: of all images."""

    names: tuple[str, ...] | None
    kept_bytes: int
    records: Iterator[Record]


def read_rows(path: Path, name: str, limits: Limits, scratch: Path) -> Rows:
    """The rows of the shard at `path`, which users know as `name`. Raises `InvalidDataset`."""
    shard = PurePosixPath(name.partition("?")[0]).name
    with naming(name, remedy=None):
        found = rows_of(path, limits, scratch, shard)
    assert found.images is not None
    images = found.images

    def records() -> Iterator[Record]:
        for i, (label, split) in enumerate(zip(found.labels, found.splits, strict=True)):
            data, said = images.content(i), None if split in (TRAIN, UNLABELLED) else split
            yield Record(f"{shard} row {i}", int(images.offsets[i]), len(data), label, data, said)

    return Rows(found.names, int(images.sizes.sum()), records())


def unpack(path: Path, target: Path, limits: Limits) -> None:
    """Write the images of the shard at `path` to `target` as its index counts them. Raises `InvalidDataset`."""
    images = rows_of(path, limits, target.parent).images
    assert images is not None
    if isinstance(images.data, bytes):  # no row
        target.write_bytes(images.data)
    else:
        images.data.replace(target)
