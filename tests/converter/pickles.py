"""An assembler for pickles and the containers that `torch.save` makes of them; what torch refuses to write included."""

from __future__ import annotations

import pickle
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


@dataclass
class Name:
    module: str
    name: str


@dataclass
class Call:
    function: Any
    arguments: tuple = ()


@dataclass
class Persistent:
    identifier: Any


@dataclass
class Raw:
    """Operations put in as they are."""

    code: bytes = field(repr=False)


def encode(value: Any, *, python2: bool = False) -> bytes:
    """The operations that push `value`; without memo."""
    if isinstance(value, Raw):
        return value.code
    if isinstance(value, Name):
        return b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n"
    if isinstance(value, Call):
        return encode(value.function, python2=python2) + encode(value.arguments, python2=python2) + b"R"
    if isinstance(value, Persistent):
        return encode(value.identifier, python2=python2) + b"Q"
    if isinstance(value, tuple):
        return b"(" + b"".join(encode(item, python2=python2) for item in value) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(encode(item, python2=python2) for item in value) + b"e"
    if isinstance(value, dict):
        pairs = (encode(key, python2=python2) + encode(item, python2=python2) for key, item in value.items())
        return b"}(" + b"".join(pairs) + b"u"
    if isinstance(value, str) and python2:
        return b"U" + bytes([len(value)]) + value.encode()
    return pickle.dumps(value, 2)[2:-1]


def dump(value: Any, **options: bool) -> bytes:
    return b"\x80\x02" + encode(value, **options) + b"."


def storage(elements: int = 4, key: str = "0", kind: Any = None) -> Persistent:
    return Persistent(("storage", kind or Name("torch", "FloatStorage"), key, "cpu", elements))


def tensor(
    held: Any = None, offset: Any = 0, shape: tuple = (4,), stride: tuple = (1,), function: str = "_rebuild_tensor_v2"
) -> Call:
    held = storage() if held is None else held
    hooks = Call(Name("collections", "OrderedDict"))
    return Call(Name("torch._utils", function), (held, offset, shape, stride, False, hooks))


def zip_file(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, **more: bytes) -> Path:
    """A file like torch >= 1.6 writes: stored members below `archive/`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in {"version": b"3\n", "byteorder": b"little", **more}.items():
            archive.writestr(f"archive/{name}", data)
    return path


def legacy_file(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, width: int = 4) -> Path:
    """A file like torch < 1.6 writes: magic, protocol, system, value, keys, then count and bytes of each storage."""
    storages = storages or {}
    pickled = pickled.replace(b"tQ", b"NtQ")  # a storage's identifier has a view, None, at its end
    head = [dump(MAGIC), dump(PROTOCOL), dump(SYSTEM), pickled, dump(list(storages))]
    tail = [struct.pack("<q", len(data) // width) + data for data in storages.values()]
    path.write_bytes(b"".join(head + tail))
    return path
