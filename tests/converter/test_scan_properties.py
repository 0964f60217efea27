"""Whatever bytes come: the readers return a value or raise `InvalidTeacher`, soon and without much memory."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from distill.errors import InvalidTeacher
from distill.safetensors_header import parse_header
from tests.converter.pickles import dump, legacy_file, tensor, zip_file
from worker.converter import ConverterLimits
from worker.converter.pickle_scan import scan
from worker.converter.pickle_values import ALLOWED_NAMES, make_storage
from worker.converter.shard_index import parse_index
from worker.converter.shards import convert_shards
from worker.converter.torch_file import scan_legacy, scan_zip

LIMITS = ConverterLimits(operations=10_000, memo=1000, members=100, pickle_bytes=2**16, index_bytes=2**12)
FAST = settings(deadline=None, max_examples=150)
DATA = np.arange(4, dtype=np.float32).tobytes()


def refused(read: Any, *arguments: Any) -> bool:
    try:
        read(*arguments)
    except InvalidTeacher as error:
        return bool(error.message and error.remedy)
    return False


def storages(identifier: Any) -> Any:
    return make_storage(identifier, {}, legacy=False)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@FAST
@given(PLAIN)
def test_plain_values_are_read_as_pickle_reads_them(value: Any) -> None:
    assert scan(io.BytesIO(pickle.dumps(value, 2)), ConverterLimits()) == value


OPERATIONS = sorted(value for name, value in vars(pickle).items() if name.isupper() and type(value) is bytes)
NAMES = [b"c" + b"\n".join(name.rsplit(".", 1)[i].encode() for i in (0, 1)) + b"\n" for name in sorted(ALLOWED_NAMES)]
WORDS = [b"X\x07\x00\x00\x00storage", b"K\x04", b"q\x00", b"h\x00"]
PIECES = st.sampled_from(OPERATIONS) | st.binary(max_size=6) | st.sampled_from(NAMES + WORDS)


@FAST
@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_any_program_ends(code: bytes) -> None:
    refused(scan, io.BytesIO(b"\x80\x02" + code + b"."), LIMITS, storages)


@FAST
@given(st.binary(max_size=300))
def test_any_bytes_end(code: bytes) -> None:
    refused(scan, io.BytesIO(code), LIMITS, storages)


COUNTS = st.integers(-(2**65), 2**65) | st.integers(0, 8)


@FAST
@given(st.tuples(COUNTS, st.lists(COUNTS, max_size=4).map(tuple), st.lists(COUNTS, max_size=4).map(tuple)))
def test_tensors_stay_within_their_storage(view: tuple[int, tuple[int, ...], tuple[int, ...]]) -> None:
    """Accepted exactly when numpy's own bounds say that every element lies within the 4 of the storage."""
    offset, shape, stride = view
    pickled = dump({"w": tensor(offset=offset, shape=shape, stride=stride)})
    plain = len(shape) == len(stride) and min((offset, *shape, *stride)) >= 0
    elements = int(np.prod([min(size, 10) for size in shape])) if plain else 0
    inside = plain and 0 <= offset <= 4 and max((*shape, *stride, 0)) < 2**62
    if inside and elements:
        inside = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) < 4 and elements <= 4
    assert refused(scan, io.BytesIO(pickled), ConverterLimits(), storages) is not inside


def _mutated(good: bytes) -> st.SearchStrategy[bytes]:
    """`good` with pieces replaced, cut or repeated."""
    edit = st.tuples(st.integers(0, len(good)), st.integers(0, 40), st.binary(max_size=20))

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = good
        for start, length, new in edits:
            data = data[:start] + new + data[start + length :]
        return data

    return st.lists(edit, min_size=1, max_size=3).map(apply)


def _good(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        make = zip_file if kind == "zip" else legacy_file
        return make(Path(folder) / "a", dump({"w": tensor()}), {"0": DATA}).read_bytes()


@FAST
@given(_mutated(_good("zip")))
def test_changed_zip_files(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        refused(scan_zip, Path(file.name), LIMITS)


@FAST
@given(_mutated(_good("legacy")))
def test_changed_legacy_files(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        refused(scan_legacy, Path(file.name), LIMITS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["a.safetensors", "../a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["weight_map", "metadata", "a"]), inner)
    ),
    max_leaves=10,
)


@FAST
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_any_index(raw: bytes) -> None:
    if not refused(parse_index, raw, LIMITS):
        assert all("/" not in file for file in parse_index(raw, LIMITS)[0].values())


SAFE = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.uint8)})


@FAST
@given(_mutated(SAFE))
def test_changed_safetensors(data: bytes) -> None:
    """Accepted only where every tensor's bytes lie within the file, contiguous up to its end."""
    try:
        header = parse_header(io.BytesIO(data), len(data))
    except InvalidTeacher:
        return
    spans = sorted((info.offset, info.offset + info.bytes) for info in header.tensors.values())
    assert spans[0][0] == 8 + struct.unpack("<Q", data[:8])[0]
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert spans[-1][1] == len(data)


def _archive(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = json.dumps({"metadata": {}, "weight_map": {"a": "m.safetensors", "b": "m.safetensors"}})
        files = {"m.safetensors": SAFE, "m.safetensors.index.json": index.encode()}
        if kind == "zip":
            with zipfile.ZipFile(folder / "a", "w", zipfile.ZIP_DEFLATED) as archive:
                for member, data in files.items():
                    archive.writestr(member, data)
        else:
            import tarfile

            with tarfile.open(folder / "a", kind) as archive:  # type: ignore[call-overload]
                for member, data in files.items():
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        return (folder / "a").read_bytes()


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz"])
def test_changed_archives(kind: str, tmp_path: Path) -> None:
    path, out = tmp_path / "a", tmp_path / "out"
    good = _archive(kind)
    path.write_bytes(good)
    assert convert_shards(path, out, LIMITS)[0] == 2

    @FAST
    @given(_mutated(good[:2048] if kind == "w" else good))
    def check(data: bytes) -> None:
        path.write_bytes(data + (good[2048:] if kind == "w" else b""))
        refused(convert_shards, path, out, LIMITS)

    check()
