"""What parquet files of images and of texts share: caps that the footer is held against, and class names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.labelled import bad_name
from distill.data.row_checks import refuse
from distill.errors import DISK_FULL, InvalidDataset

MAGIC = b"PAR1"
ROW_GROUP_BYTES = 2 << 30
UNNAMED = -1  # what `datasets` writes where a row has no class
AGAIN = "Write the file again and upload it; `pyarrow.parquet.read_table(FILE)` should read it."


@dataclass(frozen=True, slots=True)
class ParquetLimits:
    """Caps on what a footer may promise: rows, bytes of a row group, bytes in all."""

    rows: int
    row_group_bytes: int
    total_bytes: int


@contextmanager
def parquet_file(path: Path, limits: ParquetLimits) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` within the caps. Raises `InvalidDataset`, also for what Arrow's readers raise on
    damaged content while the block reads."""
    try:
        with pq.ParquetFile(path) as file:
            _check(file.metadata, path.name, limits)
            yield file
    except (InvalidDataset, MemoryError):
        raise
    except Exception as error:  # Arrow's readers raise many kinds on damaged files
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        refuse(f"{path.name} cannot be read ({str(error)[:200]})", AGAIN, file=path.name)


def _check(meta: Any, name: str, limits: ParquetLimits) -> None:
    if meta.num_rows > limits.rows:
        refuse(f"{name} has {meta.num_rows:,} rows, more than {limits.rows:,}", rows=meta.num_rows)
    sizes = [meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)]
    if max(sizes, default=0) > limits.row_group_bytes:
        what = f"a row group of {name} has {max(sizes):,} bytes, more than {limits.row_group_bytes:,}"
        refuse(what, "Write smaller row groups: `pyarrow.parquet.write_table(table, FILE, row_group_size=1000)`.")
    if sum(sizes) > limits.total_bytes:
        refuse(f"{name} unpacks to {sum(sizes):,} bytes, more than {limits.total_bytes:,}", "Send fewer rows.")


def class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Column -> class names, of the columns for which the `datasets` library's metadata have a ClassLabel. Raises
    `InvalidDataset` for names that no class can have."""
    return _named(schema, lambda feature: feature)


def list_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """The same of columns of lists of a ClassLabel: `Sequence`, `List`, or a list of one feature."""
    return _named(schema, _within)


def _within(feature: Any) -> Any:
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return feature.get("feature") if isinstance(feature, Mapping) else None


def _named(schema: Any, of: Callable[[Any], Any]) -> dict[str, tuple[str, ...]]:
    text = (schema.metadata or {}).get(b"huggingface", b"")
    features: Any = {}
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        features = json.loads(text)["info"]["features"]
    if not isinstance(features, Mapping):
        return {}
    found = {column: _names(of(feature)) for column, feature in features.items() if column in schema.names}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> tuple[str, ...] | None:
    names = feature.get("names") if isinstance(feature, Mapping) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    if len(set(names)) < len(names):
        refuse("its metadata name a class twice", "Give each class of the ClassLabel another name.", names=names[:50])
    if why := next(filter(None, map(bad_name, names)), None):
        refuse(f"a class that its metadata name {why}", "Give the class another name.")
    return tuple(names)


def named(value: Any, names: tuple[str, ...], file: str, row: int) -> Any:
    """The class name of a number; text and nothing stay. Raises `InvalidDataset` for a number that has no name."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == UNNAMED:
        what = f"row {row} of {file} has the label -1, with which `datasets` marks rows without a class"
        refuse(
            what,
            "Leave these rows out (`dataset.filter(lambda row: row['label'] >= 0)`) or send another split.",
            row=row,
        )
    if not 0 <= value < len(names):
        what = f"label {value} of {file} row {row} is none of its {len(names)} class names"
        remedy = f"Its metadata name the classes 0 to {len(names) - 1}: write the numbers or the names anew."
        refuse(what, remedy, row=row, file=file)
    return names[value]


def is_label(kind: Any) -> bool:
    """Whether a column of this type can hold classes: numbers, text, yes and no, or categories of these."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in (*kinds, is_string))


def is_string(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: Any) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def bytes_of(kind: Any) -> Any:
    """The type of what a column of this type holds as an image: itself, or the field `bytes` of a struct."""
    if not pa.types.is_struct(kind):
        return kind
    index = kind.get_field_index("bytes")
    return kind.field(index).type if index >= 0 else pa.null()
