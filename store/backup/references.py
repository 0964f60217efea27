"""Which objects a row names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from store import thumbnails
from store.objects import ObjectInfo
from store.shard_references import LIST
from store.sources import stored

Row = dict[str, Any]


def references(table: str, row: Row) -> Iterator[ObjectInfo]:
    """Of any table with the columns object_key, size_bytes and sha256; and of teachers and datasets, by their status.

    What an inspection has refused is of no more use. A used upload has given its object to a teacher or dataset.
    """
    if row.get("status") == "invalid" and table in {"teachers", "datasets"}:
        return
    if table == "datasets":
        yield from _dataset(row)
    elif table == "dataset_parts":
        if row["file"]:
            yield _named(row["file"])
    elif table == "teachers" and row.get("source") and row["status"] != "ready":  # what it was sent as; gone afterwards
        yield from (ObjectInfo(file.object_key, file.size_bytes, file.sha256) for file in stored(row["source"]))
    elif row.get("object_key") and not (table == "uploads" and row["status"] == "used"):
        yield _named(row)


def _dataset(row: Row) -> Iterator[ObjectInfo]:
    """Its files, but for those that are only named by URL so far, its contact sheet, and the list of its shards while
    they are read in parts."""
    for file in row["files"].values():
        if "object_key" in file:
            yield _named(file)
    sheet = (row.get("report") or {}).get("thumbnails")
    if sheet and "sha256" in sheet:
        yield _named(sheet | {"object_key": thumbnails.object_key(row["id"])})
    if names := (row.get("reading") or {}).get(LIST):
        yield _named(names)


def _named(facts: Row) -> ObjectInfo:
    return ObjectInfo(facts["object_key"], facts["size_bytes"], facts["sha256"])
