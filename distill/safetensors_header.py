"""Bounded validation of a safetensors file: a checkpoint is data, and is checked as data before anything loads it.

The format: 8 bytes little-endian n, n bytes of UTF-8 JSON object, then the tensors' bytes. The object maps a tensor's
name to {"dtype", "shape", "data_offsets": [begin, end]} (offsets count from the end of the header), and may hold
"__metadata__", a map of strings. Standard library only, and no torch, so that the API and the worker use it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NoReturn

from distill.errors import InvalidTeacher

DTYPE_BYTES = MappingProxyType(
    {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2}
    | {"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}
)
"""Bytes of one element of every dtype that is accepted."""

REMEDY = "Write the file with safetensors.torch.save_file(model.state_dict(), path) and upload it again, complete."
_LARGEST = 2**63
# Possessive and closed by an optional quote: one pass, whatever the bytes are.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a header may be at most."""

    header_bytes: int = 32 * 2**20
    tensors: int = 100_000
    name_length: int = 512
    dimensions: int = 8
    metadata_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: dtype by its safetensors name, shape, and the offset of its first byte in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        return prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Header:
    """A validated header. Tensors in file order."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors.values())


DEFAULT_LIMITS = Limits()


def read_header(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read and validate the header of the file at `path`; the tensors' bytes are not read.

    Checks: header length within the file and `limits`; UTF-8 JSON of the one nesting that the format has, without
    duplicate keys; known dtypes; bytes = shape x dtype; tensors contiguous from 0 without overlap or gap; the file
    ends with the last tensor. Raises `InvalidTeacher` for every violation, and for a file that cannot be opened.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return parse_header(file, size, limits)
    except OSError as error:
        raise InvalidTeacher(f"The checkpoint cannot be read: {error.strerror or error}.", REMEDY) from error


def parse_header(file: BinaryIO, size: int, limits: Limits = DEFAULT_LIMITS) -> Header:
    """As `read_header`, for an open file at its start whose whole length is `size` bytes."""
    length = _header_length(file.read(8), size, limits)
    raw = file.read(length)
    if len(raw) != length:
        _refuse("it is truncated within its header")
    table = _decode(raw)
    metadata = _metadata(table.pop("__metadata__", {}), limits)
    tensors = _tensors(table, limits)
    _check_layout(tensors, start=8 + length, size=size)
    return Header(_absolute(tensors, 8 + length), metadata)


def _refuse(what: str, **details: Any) -> NoReturn:
    raise InvalidTeacher(f"The checkpoint is not a valid safetensors file: {what}.", REMEDY, details)


def _header_length(prefix: bytes, size: int, limits: Limits) -> int:
    if len(prefix) < 8:
        _refuse(f"it has only {size} bytes", bytes=size)
    length = int.from_bytes(prefix, "little")
    if length > limits.header_bytes:
        _refuse(f"{_looks_like(prefix)}its header would have {length} bytes", header_bytes=length)
    if 8 + length > size:
        _refuse("it is truncated within its header", header_bytes=length, bytes=size)
    return length


def _looks_like(prefix: bytes) -> str:
    if prefix[:2] == b"PK":
        return "it is a zip file (torch.save writes those), "
    if prefix[:1] == b"\x80":
        return "it is a Python pickle, "
    return ""


def _decode(raw: bytes) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        _refuse("its header is not a JSON object")
    _check_nesting(raw)
    try:
        table = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"its header is not JSON ({type(error).__name__})")
    assert isinstance(table, dict)
    return table


def _check_nesting(raw: bytes, deepest: int = 3) -> None:
    """The format nests object > object > array; anything deeper is refused before the JSON parser recurses."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match[0], 0)
        if depth > deepest:
            _refuse("its header is nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        double = Counter(name for name, _ in pairs).most_common(1)[0][0]
        _refuse(f"its header names {double[:100]!r} twice", name=double[:100])
    return table


def _no_constant(text: str) -> NoReturn:
    _refuse(f"its header holds {text}")


def _metadata(value: Any, limits: Limits) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        _refuse("its metadata is not a map of strings")
    if sum(len(key) + len(item) for key, item in value.items()) > limits.metadata_bytes:
        _refuse(f"its metadata has more than {limits.metadata_bytes} characters")
    if not all(_is_text(key) and _is_text(item) for key, item in value.items()):
        _refuse("its metadata is not text")
    return dict(value)


def _is_text(value: str) -> bool:
    """False for lone surrogates, which JSON can spell and no encoder can write."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _tensors(table: dict[str, Any], limits: Limits) -> dict[str, tuple[TensorInfo, int]]:
    if not table:
        _refuse("it holds no tensors")
    if len(table) > limits.tensors:
        _refuse(f"it holds {len(table)} tensors, more than {limits.tensors}")
    return {name: _tensor(name, entry, limits) for name, entry in table.items()}


def _tensor(name: str, entry: Any, limits: Limits) -> tuple[TensorInfo, int]:
    """The tensor with its offset from the end of the header, and its end."""
    if not name.isprintable() or not 0 < len(name) <= limits.name_length:
        _refuse(f"a tensor's name of {len(name)} characters is empty, too long or not printable")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(f"the entry of tensor {name!r} is not dtype, shape and data_offsets", name=name)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        _refuse(f"tensor {name!r} has the unknown dtype {str(dtype)[:40]!r}", name=name)
    if not _naturals(shape) or len(shape) > limits.dimensions:
        _refuse(f"the shape of tensor {name!r} is no list of sizes", name=name)
    if not _naturals(offsets) or len(offsets) != 2:
        _refuse(f"the offsets of tensor {name!r} are not two positions", name=name)
    info = TensorInfo(dtype, tuple(shape), offsets[0])
    if offsets[1] - offsets[0] != info.bytes:
        _refuse(f"tensor {name!r} has {offsets[1] - offsets[0]} bytes, its shape needs {info.bytes}", name=name)
    return info, offsets[1]


def _naturals(value: Any) -> bool:
    # bool is an int to Python; `type(...) is int` keeps JSON's true and false out.
    return isinstance(value, list) and all(type(item) is int and 0 <= item < _LARGEST for item in value)


def _check_layout(tensors: dict[str, tuple[TensorInfo, int]], start: int, size: int) -> None:
    end = 0
    for name, (info, stop) in _by_offset(tensors):
        if info.offset != end:
            _refuse(f"tensor {name!r} overlaps another or leaves a gap before it", name=name)
        end = stop
    if start + end > size:
        _refuse(f"it is truncated: its header promises {start + end} bytes, it has {size}", bytes=size)
    if start + end < size:
        _refuse(f"{size - start - end} bytes follow its last tensor", bytes=size)


def _by_offset(tensors: dict[str, tuple[TensorInfo, int]]) -> Iterator[tuple[str, tuple[TensorInfo, int]]]:
    # The end as second key puts an empty tensor before the one that starts where it does.
    return iter(sorted(tensors.items(), key=lambda item: (item[1][0].offset, item[1][1])))


def _absolute(tensors: dict[str, tuple[TensorInfo, int]], start: int) -> dict[str, TensorInfo]:
    return {name: TensorInfo(info.dtype, info.shape, start + info.offset) for name, (info, _) in _by_offset(tensors)}
