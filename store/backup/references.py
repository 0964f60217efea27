"""Which objects a row names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from store.objects import ObjectInfo


def references(table: str, row: dict[str, Any]) -> Iterator[ObjectInfo]:
    """Of any table with the columns object_key, size_bytes and sha256, and of datasets, which have several files.
    A used upload has given its object to a teacher or dataset, whose row names it."""
    if table == "datasets":
        for file in row["files"].values():
            yield ObjectInfo(file["object_key"], file["size_bytes"], file["sha256"])
    elif row.get("object_key") and not (table == "uploads" and row["status"] == "used"):
        yield ObjectInfo(row["object_key"], row["size_bytes"], row["sha256"])
