"""Encoded images in the columns of parquet files: which leaves to read, and what a cell holds. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pyarrow as pa

from distill.data.columns import found
from distill.data.limits import Limits
from distill.data.parquet import bytes_of, is_bytes

Cell = tuple[bytes | None, str | None]
"""An image's bytes, and the path that it had."""


class Refuse(Protocol):
    """How a task says what is wrong."""

    def __call__(self, what: str, remedy: str, **details: object) -> NoReturn: ...


def shards(path: Path) -> list[Path]:
    """The file, or the files of a folder in the order of their names."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def column(schema: Any, wanted: Sequence[str]) -> str | None:
    """The first of the names whose column holds encoded bytes."""
    names = found(schema.names, wanted)
    return next((name for name in names if is_bytes(bytes_of(schema.field(name).type))), None)


def leaves(name: str, kind: Any) -> list[str]:
    """The leaves of an image column of this type that are read: a struct's `bytes` and `path`, or all of it."""
    if not pa.types.is_struct(kind):
        return [name]
    return [f"{name}.{field}" for field in ("bytes", "path") if kind.get_field_index(field) >= 0]


def cells(values: Any) -> list[Cell]:
    """(bytes, path) of each row of an image column."""
    if not pa.types.is_struct(values.type):
        return [(data, None) for data in values.to_pylist()]
    return [((row or {}).get("bytes"), (row or {}).get("path")) for row in values.to_pylist()]


def content(cell: Cell, what: str, row: int, limits: Limits, refuse: Refuse, embed: str) -> bytes:
    """The bytes. `what` the cell holds (an image, a mask); `embed`: the remedy where it has a path alone."""
    data, path = cell
    if data is None:
        if path:
            refuse(f"row {row} has only the path {path[:200]!r} of its {what}, no bytes", embed, row=row)
        refuse(f"row {row} has no {what}", f"Remove the rows without {what} and write the file again.", row=row)
    if len(data) > limits.file_bytes:
        refuse(f"the {what} of row {row} has {len(data):,} bytes", "Scale it down.", row=row)
    return data


def check_ratio(total: int, paths: Iterable[Path], limits: Limits, refuse: Refuse) -> None:
    """Refuse images of `total` bytes that are many times the size of the files: dictionary encoding writes an image
    once however many rows have it."""
    on_disk = sum(path.stat().st_size for path in paths)
    if total > limits.ratio_free_bytes and total > limits.ratio * on_disk:
        refuse(
            f"its images have more than {limits.ratio:g} times its size", "Write each image once.", ratio=limits.ratio
        )
