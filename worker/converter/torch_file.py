"""What is in a `torch.save` file, found without torch: its value, and that every storage is as long as it says.

torch's own reader trusts the element count of a storage that the pickle gives; here it must equal the bytes there are.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from distill.safetensors_header import DTYPE_BYTES
from worker.converter.limits import ConverterLimits
from worker.converter.pickle_scan import scan
from worker.converter.pickle_values import Storage, make_storage
from worker.converter.refusal import refuse, shown
from worker.converter.zip_container import Member, read_members

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_PLAIN = frozenset({"data.pkl", "version", "byteorder", ".data/serialization_id", ".format_version"})
_EXTRA = frozenset({".storage_alignment"})
_SMALL = 64


def scan_zip(path: Path, limits: ConverterLimits) -> Any:
    """The value of a file that torch >= 1.6 wrote. Raises `InvalidTeacher`."""
    members = read_members(path, limits, stored_only=True)
    root = next(iter(members)).split("/", 1)[0] if members else ""
    records = {name.removeprefix(f"{root}/"): member for name, member in members.items()}
    _check_records(records, list(members), root)
    with zipfile.ZipFile(path) as archive:
        if "byteorder" in records and _read(archive, records["byteorder"], _SMALL) != b"little":
            refuse("it was written on a big-endian machine")
        raw = _read(archive, records["data.pkl"], limits.pickle_bytes)
    known: dict[str, Storage] = {}
    value = scan(stream := io.BytesIO(raw), limits, lambda identifier: make_storage(identifier, known, legacy=False))
    if stream.read(1):
        refuse("something follows its pickle")
    _check_storages(known, records)
    return value


def _check_records(records: dict[str, Member], names: list[str], root: str) -> None:
    if any(name.startswith("code/") or name == "constants.pkl" for name in records):
        refuse("it is a TorchScript archive, which holds code")
    if "data.pkl" not in records or not all(name.startswith(f"{root}/") for name in names):
        refuse("it is a zip file, but neither torch.save's nor one of safetensors shards")
    for name in records:
        if name not in _PLAIN | _EXTRA and not name.startswith("data/"):
            refuse(f"its member {shown(name)} is none that torch.save writes", member=shown(name))


def _read(archive: zipfile.ZipFile, member: Member, most: int) -> bytes:
    if member.bytes > most:
        refuse(f"its member {shown(member.name)} has {member.bytes} bytes, more than {most}")
    try:
        return archive.read(member.info)
    except (zipfile.BadZipFile, EOFError) as error:
        refuse(f"its member {shown(member.name)} is damaged ({error})")


def _check_storages(known: dict[str, Storage], records: dict[str, Member]) -> None:
    for key, storage in known.items():
        member = records.get(f"data/{key}")
        if member is None or member.bytes != storage.bytes:
            there = member.bytes if member else 0
            refuse(f"the tensor storage {key} should have {storage.bytes} bytes and has {there}", storage=key)


def scan_legacy(path: Path, limits: ConverterLimits) -> Any:
    """The value of a file in the format of torch < 1.6: five pickles, then the storages. Raises `InvalidTeacher`."""
    known: dict[str, Storage] = {}
    with path.open("rb") as file:
        if scan(file, limits) != _MAGIC or scan(file, limits) != _PROTOCOL:
            refuse("it is a Python pickle, but not one that torch.save wrote")
        system = scan(file, limits)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            refuse("it was written on a big-endian machine, or does not say")
        value = scan(file, limits, lambda identifier: make_storage(identifier, known, legacy=True))
        _check_raw_storages(file, scan(file, limits), known, path.stat().st_size)
    return value


def _check_raw_storages(file: BinaryIO, keys: Any, known: dict[str, Storage], size: int) -> None:
    """Each storage: 8 bytes of element count, then the elements; in the order of `keys`, up to the file's end."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(known):
        refuse("its list of storages is not that of its tensors")
    for key in keys:
        storage = known[key]
        raw = file.read(8)
        if len(raw) < 8 or int.from_bytes(raw, "little") != storage.elements:
            refuse(f"the tensor storage {key} has another length than its tensors say", storage=key)
        if file.seek(storage.elements * DTYPE_BYTES[storage.dtype], 1) > size:
            refuse(f"it is truncated within the tensor storage {key}", storage=key)
    if file.tell() != size:
        refuse("something follows its last storage")
