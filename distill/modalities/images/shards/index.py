"""The index of a dataset of shards: where every sample lies and what it is, written once and trusted by every job.

One parquet file: a row a sample (`COLUMNS`), in the order of the shards, and in the schema's metadata (`retort`, JSON)
the shards, the classes and the notes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from distill.errors import InvalidDataset
from distill.modalities.images.known import Known
from distill.modalities.images.shards.record import Shard, digest

VERSION = 1
COLUMNS = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("label", pa.int64()),  # `NO_LABEL`: none
        ("test", pa.bool_()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("gray", pa.bool_()),
        ("sha256", pa.binary(32)),
        ("lot", pa.float64()),
        ("reason", pa.string()),  # why the image cannot be read; "": it can
        ("decoded", pa.bool_()),
        ("peak", pa.int32()),
    ]
)
_META = b"retort"


@dataclass(frozen=True, slots=True)
class Index:
    """`verify_pixels`: how many pixels were to be decoded at most when it was written."""

    shards: tuple[Shard, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    verify_pixels: int
    rows: pa.Table

    @property
    def digest(self) -> str:
        """Of the shards (`distill.modalities.images.shards.record.digest`)."""
        return digest(self.shards)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self.rows.column(name).to_numpy()
        return found

    def known(self, places: NDArray[np.int64]) -> Known:
        """Of the samples at `places`."""
        rows = self.rows.select(["height", "width", "gray", "shard", "lot", "reason", "decoded", "peak"])
        height, width, gray, shard, lot, reason, decoded, peak = (
            rows.column(name).to_numpy()[places] for name in rows.column_names
        )
        digests = _bytes_of(self.rows.column("sha256"))
        sizes = np.stack([height, width], axis=1).astype(np.int64)
        return Known(
            sizes, gray.astype(bool), digests[places], shard.astype(np.int64), lot, reason == "", reason,
            decoded.astype(bool), peak.astype(np.int64),
        )  # fmt: skip


def _bytes_of(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """(n, width), uint8: a column of binaries of one width as it lies in memory."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    width = column.type.byte_width
    begin, end = array.offset * width, (array.offset + len(array)) * width
    return np.frombuffer(array.buffers()[1] or b"", np.uint8)[begin:end].reshape(-1, width)


def write(index: Index, path: Path) -> None:
    """Whole or not at all."""
    told = {
        "version": VERSION, "shards": [asdict(shard) for shard in index.shards], "classes": list(index.classes),
        "notes": list(index.notes), "verify_pixels": index.verify_pixels, "digest": index.digest,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        pq.write_table(index.rows.replace_schema_metadata({_META: json.dumps(told).encode()}), part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> Index:
    """Raises `InvalidDataset` for what is no whole index of this release."""
    try:
        rows = pq.read_table(path)
        told = json.loads((rows.schema.metadata or {})[_META])
        if told["version"] != VERSION:
            raise ValueError(f"it is of version {told['version']}")
        rows = rows.replace_schema_metadata(None).cast(COLUMNS)
        index = Index(
            tuple(Shard(**shard) for shard in told["shards"]),
            tuple(told["classes"]), tuple(told["notes"]), told["verify_pixels"], rows.combine_chunks(),
        )  # fmt: skip
        _check(index, told["digest"])
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidDataset(
            f"{path.name} is no index of shards: {str(error)[:200]}.",
            "Write it anew: `retort shards SHARDS --index FILE`.",
            {"index": path.name},
        ) from error
    return index


def _check(index: Index, digest: str) -> None:
    if index.digest != digest:
        raise ValueError("its shards are not those that it was written for")
    numbers, labels = index.column("shard"), index.column("label")
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(index.shards)):
        raise ValueError("it names a shard that it does not list")
    if len(labels) and not (labels.min() >= -1 and labels.max() < max(len(index.classes), 1)):
        raise ValueError("it has a label that is none of its classes")


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """The rows of all parts, as one."""
    return pa.concat_tables(parts).combine_chunks()
