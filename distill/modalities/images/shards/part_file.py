"""A part of an index as a file, on its way from who read it to who joins the parts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distill.modalities.images.shards.index import joined
from distill.modalities.images.shards.reading import ROWS, Part, ReadShard
from distill.modalities.images.shards.record import Shard

VERSION = 1
_META = b"retort part"


def write(part: Part, path: Path) -> None:
    """All of the part but its error. Parquet as an index, with the shards in the schema's metadata."""
    told = {
        "version": VERSION, "first": part.first,
        "shards": [
            {"shard": each.shard and asdict(each.shard), "classes": each.classes, "rows": len(each.rows)}
            for each in part.shards
        ],
        "folders": {split: sorted(found) for split, found in part.folders.items()},
    }  # fmt: skip
    rows = joined([ROWS.empty_table(), *(each.rows for each in part.shards)])
    pq.write_table(rows.replace_schema_metadata({_META: json.dumps(told).encode()}), path)


def read(path: Path) -> Part:
    """Raises `ValueError` for what no reader of this release wrote, and as pyarrow does."""
    rows = pq.read_table(path)
    told = json.loads((rows.schema.metadata or {}).get(_META, b"{}"))
    if told.get("version") != VERSION:
        raise ValueError(f"{path.name} is no part of an index of this release.")
    rows, at, shards = rows.replace_schema_metadata(None).cast(ROWS), 0, []
    for each in told["shards"]:
        shard, classes = each["shard"], each["classes"]
        own: pa.Table = rows.slice(at, each["rows"])
        shards.append(ReadShard(shard and Shard(**shard), None if classes is None else tuple(classes), own))
        at += each["rows"]
    folders = {split: {tuple(parts) for parts in found} for split, found in told["folders"].items()}
    return Part(told["first"], tuple(shards), folders)
