"""What folders, files and table cells call a split."""

from __future__ import annotations

TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALIDATION = frozenset({"val", "valid", "validation"})


def split_of(name: str) -> str | None:
    """`train`, `test` or `validation` where a folder's or file's name says so, whatever its case."""
    known = (("train", TRAIN), ("test", TEST), ("validation", VALIDATION))
    return next((split for split, names in known if name.lower() in names), None)
