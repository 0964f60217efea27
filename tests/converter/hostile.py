"""Checkpoints that an attacker would send, made at run time: name -> function(folder, canary) that writes one.

`canary` is a file that the code in them would make. What each is about is in its name.
"""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.converter.pickles import MAGIC, Call, Name, Raw, dump, encode, legacy_file, storage, tensor, zip_file

DATA = np.arange(4, dtype=np.float32).tobytes()
Maker = Callable[[Path, Path], Path]


def command(canary: Path) -> str:
    return f"touch {canary}"


def code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def laughs(doublings: int) -> bytes:
    """Tuples of twice the tuple before, each left on the stack; the last is memo 0."""
    return b")q\x00" + b"h\x00h\x00\x86q\x00" * doublings


PICKLES: dict[str, Callable[[Path], bytes]] = {
    # code that would run
    "os_system": lambda c: dump({"w": Call(Name("os", "system"), (command(c),))}),
    "posix_system": lambda c: dump(Call(Name("posix", "system"), (command(c),))),
    "eval": lambda c: dump(Call(Name("builtins", "eval"), (code(c),))),
    "eval_of_python_2": lambda c: dump(Call(Name("__builtin__", "eval"), (code(c),))),
    "exec": lambda c: dump(Call(Name("builtins", "exec"), (code(c),))),
    "subprocess": lambda c: dump(Call(Name("subprocess", "check_call"), (["touch", str(c)],))),
    "nested_reduce": lambda c: dump(
        Call(Name("collections", "OrderedDict"), ({"w": Call(Name("builtins", "eval"), (code(c),))},))
    ),
    "reduce_within_tensor": lambda c: dump({"w": tensor(Call(Name("builtins", "eval"), (code(c),)))}),
    "hooks": lambda c: dump(
        Call(
            Name("torch._utils", "_rebuild_tensor_v2"),
            (storage(), 0, (4,), (1,), False, Call(Name("collections", "OrderedDict"), ({"h": 1},))),
        )
    ),
    "getattr_chain": lambda c: dump(Call(Name("builtins", "getattr"), (Name("os", "path"), "os"))),
    "dotted_name": lambda c: dump(Call(Name("torch", "os.system"), (command(c),))),
    "torch_load_itself": lambda c: dump(Call(Name("torch.serialization", "load"), (str(c),))),
    "numpy_reconstruct": lambda c: dump(Call(Name("numpy.core.multiarray", "_reconstruct"), ())),
    "instance_opcode": lambda c: b"\x80\x02(" + encode(command(c)) + b"ios\nsystem\n.",
    "object_opcode": lambda c: b"\x80\x02(" + encode(Name("os", "system")) + encode(command(c)) + b"o.",
    "newobj_opcode": lambda c: b"\x80\x02" + encode(Name("collections", "OrderedDict")) + b")\x81.",
    "stack_global": lambda c: b"\x80\x04\x8c\x02os\x8c\x06system\x93" + encode((command(c),)) + b"R.",
    "stack_global_protocol_2": lambda c: b"\x80\x02" + encode("os") + encode("system") + b"\x93.",
    "extension_opcode": lambda c: b"\x80\x02\x82\x01.",
    "build_of_attributes": lambda c: dump(
        Raw(encode(Call(Name("collections", "OrderedDict"))) + encode({"items": 1}) + b"b")
    ),
    "build_of_tensor": lambda c: dump(Raw(encode(tensor()) + encode((1, 2)) + b"b")),
    "custom_class": lambda c: dump({"w": Call(Name("argparse", "Namespace"))}),
    "rebuild_from_type": lambda c: dump(Call(Name("torch._tensor", "_rebuild_from_type_v2"), (1, 2, 3, 4))),
    "parameter_with_state": lambda c: dump(Call(Name("torch._utils", "_rebuild_parameter_with_state"), (tensor(),))),
    "persistent_id_of_else": lambda c: dump({"w": Raw(encode(("module", "os", "system")) + b"Q")}),
    "bytearray_of_a_terabyte": lambda c: dump({"w": Call(Name("builtins", "bytearray"), (2**40,))}),
    "set_of_laughs": lambda c: dump(Call(Name("builtins", "set"), ([1],))),
    # tensors that are none
    "sparse": lambda c: dump({"w": Call(Name("torch._utils", "_rebuild_sparse_tensor"), (1, 2))}),
    "quantised": lambda c: dump({"w": Call(Name("torch._utils", "_rebuild_qtensor"), (1, 2))}),
    "quantised_storage": lambda c: dump({"w": tensor(storage(kind=Name("torch", "QInt8Storage")))}),
    "meta": lambda c: dump({"w": Call(Name("torch._utils", "_rebuild_meta_tensor_no_storage"), (1,))}),
    "complex": lambda c: dump({"w": tensor(storage(kind=Name("torch", "ComplexFloatStorage")))}),
    # tensors that lie
    "storage_claims_more": lambda c: dump({"w": tensor(storage(10**6), shape=(10**6,))}),
    "storage_claims_less": lambda c: dump({"w": tensor(storage(2), shape=(2,))}),
    "storage_claims_other_dtype": lambda c: dump({"w": tensor(storage(kind=Name("torch", "DoubleStorage")))}),
    "storage_of_negative_length": lambda c: dump({"w": tensor(storage(-1))}),
    "storage_of_huge_length": lambda c: dump({"w": tensor(storage(2**70))}),
    "storage_described_twice": lambda c: dump({"a": tensor(), "b": tensor(storage(8, "0"))}),
    "storage_key_is_a_path": lambda c: dump({"w": tensor(storage(4, "../data.pkl"))}),
    "storage_missing": lambda c: dump({"w": tensor(storage(4, "7"))}),
    "offset_out_of_bounds": lambda c: dump({"w": tensor(offset=1)}),
    "offset_negative": lambda c: dump({"w": tensor(offset=-1)}),
    "offset_overflows": lambda c: dump({"w": tensor(offset=2**63)}),
    "stride_out_of_bounds": lambda c: dump({"w": tensor(shape=(2, 2), stride=(3, 1))}),
    "stride_negative": lambda c: dump({"w": tensor(stride=(-1,))}),
    "stride_overflows": lambda c: dump({"w": tensor(shape=(2,), stride=(2**63 - 1,))}),
    "stride_zero_of_a_billion": lambda c: dump({"w": tensor(shape=(10**9,), stride=(0,))}),
    "stride_count_differs": lambda c: dump({"w": tensor(shape=(2, 2), stride=(1,))}),
    "a_thousand_dimensions": lambda c: dump({"w": tensor(shape=(1,) * 1000, stride=(1,) * 1000)}),
    "shape_of_text": lambda c: dump({"w": tensor(shape=("4",))}),
    "shape_of_bools": lambda c: dump({"w": tensor(shape=(True,))}),
    # bombs
    "memo_index_of_4_billion": lambda c: b"\x80\x02Nr\xff\xff\xff\xff.",
    "memo_never_written": lambda c: b"\x80\x02h\x07.",
    "laughs_as_tuple": lambda c: b"\x80\x02(" + laughs(300) + b"t.",
    "laughs_as_key": lambda c: b"\x80\x02((" + laughs(60) + b"t}h\x00Nst.",
    "laughs_as_list": lambda c: b"\x80\x02(]q\x00" + b"](h\x00h\x00eq\x00" * 300 + b"t.",
    "laughs_as_shape": lambda c: dump({"w": tensor(shape=Raw(b"(" + laughs(60) + b"t"))}),  # type: ignore[arg-type]
    "list_of_itself": lambda c: b"\x80\x02]q\x00h\x00a.",
    "dictionary_of_itself": lambda c: b"\x80\x02}q\x00" + encode("model") + b"h\x00s.",
    "tuples_deeper_than_the_stack": lambda c: b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "marks_without_end": lambda c: b"\x80\x02" + b"(" * 200_000 + b".",
    "text_of_4_gigabytes": lambda c: b"\x80\x02X\xff\xff\xff\xffabc.",
    "text_8_of_exabytes": lambda c: b"\x80\x02\x8d" + b"\xff" * 8 + b"abc.",
    "bytes_8_of_exabytes": lambda c: b"\x80\x02\x8e" + b"\xff" * 8 + b"abc.",
    "integer_of_2_gigabytes": lambda c: b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "integer_as_text": lambda c: b"\x80\x02I" + b"9" * 100_000 + b"\n.",
    "frame_of_exabytes": lambda c: b"\x80\x02\x95" + b"\xff" * 8 + b".",
    "name_without_end": lambda c: b"\x80\x02c" + b"a" * 100_000,
    # damage
    "nothing": lambda c: b"",
    "no_stop": lambda c: b"\x80\x02N",
    "stop_on_an_empty_stack": lambda c: b"\x80\x02.",
    "append_to_nothing": lambda c: b"\x80\x02a.",
    "set_items_without_mark": lambda c: b"\x80\x02}u.",
    "set_items_of_odd_number": lambda c: b"\x80\x02}(Nu.",
    "text_not_utf_8": lambda c: b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "name_not_ascii": lambda c: b"\x80\x02c\xff\n\xfe\n.",
    "protocol_5": lambda c: b"\x80\x05N.",
    "two_values": lambda c: b"\x80\x02NN.",
    # nothing to convert
    "no_state_dict": lambda c: dump({"epoch": 3}),
    "a_bare_tensor": lambda c: dump(tensor()),
    "a_list_of_tensors": lambda c: dump([tensor()]),
    "names_that_are_numbers": lambda c: dump({0: tensor()}),
    "name_with_a_newline": lambda c: dump({"a\nb": tensor()}),
    "name_that_is_reserved": lambda c: dump({"__metadata__": tensor()}),
    "name_of_a_megabyte": lambda c: dump({"a" * 2**20: tensor()}),
    "wrapped_without_end": lambda c: dump({"model": {"model": {"model": {"model": {"w": tensor()}}}}}),
}
"""Pickles to put into either container."""


def _both(name: str) -> dict[str, Maker]:
    make = PICKLES[name]
    return {
        f"zip_{name}": lambda folder, c: zip_file(folder / "a.pt", make(c), {"0": DATA}),
        f"legacy_{name}": lambda folder, c: legacy_file(folder / "a.pt", make(c), {"0": DATA}),
    }


def _good(folder: Path) -> bytes:
    return zip_file(folder / "good.pt", dump({"w": tensor()}), {"0": DATA}).read_bytes()


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _zip_with(folder: Path, name: str, data: bytes = b"x", mode: int = 0, method: int = zipfile.ZIP_STORED) -> Path:
    path = zip_file(folder / "a.pt", dump({"w": tensor()}), {"0": DATA})
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, data)
    return path


def _patched(folder: Path, old: bytes, new: bytes, occurrence: int = 1) -> Path:
    """A good file with the n-th occurrence of `old` replaced (negative: from the end)."""
    data = _good(folder)
    places = [i for i in range(len(data)) if data.startswith(old, i)]
    at = places[occurrence - 1 if occurrence > 0 else occurrence]
    return _written(folder / "a.pt", data[:at] + new + data[at + len(old) :])


def _overlapping(folder: Path, canary: Path) -> Path:
    """Two directory entries for the same bytes."""
    data = bytearray(_good(folder))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return _written(folder / "a.pt", bytes(data))


def _many_claimed(folder: Path, canary: Path) -> Path:
    data = bytearray(_good(folder))
    struct.pack_into("<HHLL", data, len(data) - 14, 65534, 65534, 2**31, 0)
    return _written(folder / "a.pt", bytes(data))


def _wide_end(folder: Path, canary: Path) -> Path:
    """A zip64 end record that points past the file."""
    data = _good(folder)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 2**60, 1)
    return _written(folder / "a.pt", data[:-22] + locator + data[-22:])


def _old_tar(folder: Path, canary: Path) -> Path:
    """The container of torch < 0.1.10, which torch reads with a free pickle only."""
    path = folder / "a.pt"
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = PICKLES["os_system"](canary)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _shared(folder: Path, canary: Path) -> Path:
    """64 KiB that would be written 500 times."""
    many = {f"w{i}": tensor(storage(2**14), shape=(2**14,)) for i in range(500)}
    return zip_file(folder / "a.pt", dump(many), {"0": bytes(2**16)})


def _link(folder: Path, canary: Path) -> Path:
    _good(folder)
    (folder / "a.pt").symlink_to(folder / "good.pt")
    return folder / "a.pt"


def _pipe(folder: Path, canary: Path) -> Path:
    os.mkfifo(folder / "a.pt")
    return folder / "a.pt"


def _legacy(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    path = legacy_file(folder / "a.pt", dump({"w": tensor()}), {"0": DATA})
    return _written(path, change(path.read_bytes()))


def _legacy_head(folder: Path, magic: Any = MAGIC, system: Any = None, keys: Any = None) -> Path:
    parts = [dump(magic), dump(1001), dump(system or {"little_endian": True}), dump({"w": tensor()})]
    parts += [dump(["0"] if keys is None else keys), struct.pack("<q", 4), DATA]
    return _written(folder / "a.pt", b"".join(parts))


FILES: dict[str, Maker] = {
    "deflated_bomb": lambda f, c: _zip_with(f, "archive/data/1", bytes(2**24), method=zipfile.ZIP_DEFLATED),
    "lzma_member": lambda f, c: _zip_with(f, "archive/data/1", bytes(2**16), method=zipfile.ZIP_LZMA),
    "name_with_dots": lambda f, c: _zip_with(f, "archive/../../escaped"),
    "name_absolute": lambda f, c: _zip_with(f, f"{c}"),
    "name_with_backslash": lambda f, c: _zip_with(f, "archive\\..\\x"),
    "name_of_unknown_member": lambda f, c: _zip_with(f, "archive/evil.py"),
    "name_in_other_root": lambda f, c: _zip_with(f, "other/data.pkl", PICKLES["os_system"](c)),
    "member_is_a_symlink": lambda f, c: _zip_with(f, "archive/data/1", b"/etc/passwd", 0o120777),
    "member_is_a_device": lambda f, c: _zip_with(f, "archive/data/1", b"", 0o020666),
    "member_twice": lambda f, c: _zip_with(f, "archive/data.pkl", PICKLES["os_system"](c)),
    "members_overlap": _overlapping,
    "members_claimed_by_thousands": _many_claimed,
    "wide_end_past_the_file": _wide_end,
    "member_encrypted": lambda f, c: _patched(f, b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
    "names_differ": lambda f, c: _patched(f, b"archive/data/0", b"archive/data/1", 1),
    "checksum_of_pickle_wrong": lambda f, c: _patched(f, b"FloatStorage", b"CharStorages", 1),
    "torch_script": lambda f, c: _zip_with(f, "archive/constants.pkl"),
    "big_endian": lambda f, c: zip_file(f / "a.pt", dump({"w": tensor()}), {"0": DATA}, byteorder=b"big"),
    "truncated": lambda f, c: _written(f / "a.pt", _good(f)[:-40]),
    "truncated_to_its_magic": lambda f, c: _written(f / "a.pt", _good(f)[:4]),
    "something_follows": lambda f, c: _written(f / "a.pt", _good(f) + bytes(100)),
    "something_precedes": lambda f, c: _written(f / "a.pt", b"PK\x03\x04" + bytes(60) + _good(f)),
    "wrong_magic": lambda f, c: _written(f / "a.pt", b"GIF89a" + _good(f)),
    "empty": lambda f, c: _written(f / "a.pt", b""),
    "one_byte": lambda f, c: _written(f / "a.pt", b"\x80"),
    "text": lambda f, c: _written(f / "a.pt", b"hello " * 1000),
    "noise": lambda f, c: _written(f / "a.pt", np.random.default_rng(0).bytes(100_000)),
    "shared_by_many": _shared,
    "old_tar": _old_tar,
    "is_a_link": _link,
    "is_a_pipe": _pipe,
    "is_missing": lambda f, c: f / "missing.pt",
    "legacy_truncated": lambda f, c: _legacy(f, lambda data: data[:-3]),
    "legacy_followed": lambda f, c: _legacy(f, lambda data: data + b"x"),
    "legacy_count_lies": lambda f, c: _legacy(f, lambda data: data[:-24] + struct.pack("<q", 2**60) + DATA),
    "legacy_wrong_magic": lambda f, c: _legacy_head(f, magic=1),
    "legacy_big_endian": lambda f, c: _legacy_head(f, system={"little_endian": False}),
    "legacy_keys_missing": lambda f, c: _legacy_head(f, keys=[]),
    "legacy_keys_unknown": lambda f, c: _legacy_head(f, keys=["0", "1"]),
    "legacy_keys_twice": lambda f, c: _legacy_head(f, keys=["0", "0"]),
    "legacy_code_in_system": lambda f, c: _legacy_head(f, system=Call(Name("os", "system"), (command(c),))),
    "legacy_code_in_keys": lambda f, c: _legacy_head(f, keys=Call(Name("os", "system"), (command(c),))),
}
"""Whole files."""

CORPUS: dict[str, Maker] = {key: maker for name in PICKLES for key, maker in _both(name).items()} | FILES
