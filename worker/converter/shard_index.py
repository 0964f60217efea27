"""`model.safetensors.index.json`: which shard holds which tensor. Parsed within bounds, believed in nothing."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from worker.converter.limits import ConverterLimits
from worker.converter.refusal import SHARDS, refuse, shown


def parse_index(raw: bytes, limits: ConverterLimits) -> tuple[dict[str, str], int | None]:
    """(tensor -> file name, total bytes of the tensors if given) of an index. Raises `InvalidTeacher`.

    Refused: more than `limits.index_bytes`, no UTF-8 JSON, a key twice, file names with a folder in them.
    """
    if len(raw) > limits.index_bytes:
        _refuse(f"it has more than {limits.index_bytes} bytes")
    try:
        table = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"it is not JSON ({type(error).__name__})")
    weight_map = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(weight_map, dict) or not 0 < len(weight_map) <= limits.tensors:
        _refuse("it has no weight_map, or one that is empty or too long")
    for name, file in weight_map.items():
        if not isinstance(file, str) or not file.endswith(".safetensors") or not _is_plain(file):
            _refuse(f"it puts the tensor {shown(name)} into {shown(file)}, which is no plain name of a shard")
    return dict(weight_map), _total(table.get("metadata"))


def _total(metadata: Any) -> int | None:
    if metadata is not None and not isinstance(metadata, dict):
        _refuse("its metadata is no object")
    total = (metadata or {}).get("total_size")
    return total if type(total) is int else None


def _is_plain(file: str) -> bool:
    return file.isprintable() and len(file) <= 255 and not set(file) & set("/\\:") and not file.startswith(".")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        _refuse("it names something twice")
    return table


def _no_constant(text: str) -> NoReturn:
    _refuse(f"it holds {text}")


def _refuse(what: str) -> NoReturn:
    refuse(f"its shard index is not valid: {what}", SHARDS)
