"""The torch-free header parser: agrees with the library on good files, InvalidTeacher and nothing else on others."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from distill.errors import InvalidTeacher
from distill.safetensors_header import DTYPE_BYTES, Limits, parse_header, read_header
from tests.slowness import within


def parse(data: bytes, limits: Limits | None = None):
    return parse_header(io.BytesIO(data), len(data), limits or Limits())


def build(header: object, body: bytes = b"", raw: bytes | None = None) -> bytes:
    text = json.dumps(header).encode() if raw is None else raw
    return struct.pack("<Q", len(text)) + text + body


def entry(begin: int = 0, end: int = 4, dtype: object = "F32", shape: object = (1,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def refused(data: bytes, word: str = "", limits: Limits | None = None) -> InvalidTeacher:
    with pytest.raises(InvalidTeacher, match=word or None) as caught:
        parse(data, limits)
    assert caught.value.remedy
    json.dumps(caught.value.to_dict())
    return caught.value


def test_a_real_file(tmp_path):
    tensors = {
        "a": torch.arange(6.0).reshape(2, 3),
        "b.c": torch.ones(4, dtype=torch.bfloat16),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 5),
        "flag": torch.tensor([True]),
    }
    save_file(tensors, tmp_path / "x.safetensors", {"architecture": "{}"})
    header = read_header(tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    assert {name: info.shape for name, info in header.tensors.items()} == {
        n: tuple(t.shape) for n, t in tensors.items()
    }
    assert header.metadata == {"architecture": "{}"}
    assert header.parameters == 12
    info = header.tensors["a"]
    assert (info.dtype, info.bytes) == ("F32", 24)
    assert torch.frombuffer(bytearray(data[info.offset :][:24]), dtype=torch.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_it_needs_no_torch():
    code = "import sys, distill.safetensors_header; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=within(60))


@pytest.mark.parametrize(
    ("header", "body", "word"),
    [
        ({}, b"", "no tensors"),
        ({"a": entry()}, b"123", "truncated"),
        ({"a": entry()}, b"12345", "1 bytes follow"),
        ({"a": entry(), "b": entry(2, 6)}, bytes(6), "overlaps"),
        ({"a": entry(), "b": entry(8, 12)}, bytes(12), "gap"),
        ({"a": entry(4, 8)}, bytes(8), "gap"),
        ({"a": entry(shape=[2])}, bytes(4), "needs 8"),
        ({"a": entry(4, 0)}, bytes(4), "has -4 bytes"),
        ({"a": entry(dtype="F31")}, bytes(4), "unknown dtype"),
        ({"a": entry(dtype=["F32"])}, bytes(4), "unknown dtype"),
        ({"a": entry(shape=[-1, -1])}, bytes(4), "no list of sizes"),
        ({"a": entry(shape=[True])}, bytes(4), "no list of sizes"),
        ({"a": entry(shape=[1.0])}, bytes(4), "no list of sizes"),
        ({"a": entry(shape=[2**63])}, bytes(4), "no list of sizes"),
        ({"a": entry(shape=[2**62] * 8)}, bytes(4), "needs"),
        ({"a": entry(shape=[1] * 9)}, bytes(4), "no list of sizes"),
        ({"a": entry() | {"extra": 1}}, bytes(4), "is not dtype"),
        ({"a": {"dtype": "F32", "shape": [1]}}, bytes(4), "is not dtype"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4), "two positions"),
        ({"a": 3}, b"", "is not dtype"),
        ({"": entry()}, bytes(4), "name"),
        ({"a\n": entry()}, bytes(4), "name"),
        ({"\ud800": entry()}, bytes(4), "name"),
        ({"n" * 600: entry()}, bytes(4), "name"),
        ({"__metadata__": {"a": 1}, "a": entry()}, bytes(4), "map of strings"),
        ({"__metadata__": [], "a": entry()}, bytes(4), "map of strings"),
        ({"__metadata__": {"a": "\udfff"}, "a": entry()}, bytes(4), "not text"),
        ({"__metadata__": {"a": "x" * 2**21}, "a": entry()}, bytes(4), "metadata has more"),
    ],
)
def test_refused_headers(header, body, word):
    refused(build(header, body), word)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
        (b'{"a": \xff}', "not JSON"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON|is not dtype"),
        (b'{"a": ' + b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b'{"a": {}, "a": {}}', "twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F16", "shape": [], "data_offsets": [0, 4]}}', "twice"),
    ],
)
def test_refused_json(raw, word):
    refused(build(None, raw=raw), word)


def test_brackets_in_names_are_no_nesting():
    assert list(parse(build({'[[[[{{"\\': entry()}, bytes(4))).tensors) == ['[[[[{{"\\']


def test_hostile_strings_take_linear_time():
    raw = b'{"' + b'\\"' * 2_000_000
    refused(build(None, raw=raw), "not JSON")


@pytest.mark.parametrize("size", range(0, 60, 3))
def test_truncated_at_any_byte(size):
    data = save({"a": torch.zeros(3), "b": torch.zeros(2)})
    refused(data[: min(size, len(data) - 1)])
    refused(data[: len(data) - 1 - size % 19])


def test_foreign_files_are_named(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(InvalidTeacher, match="zip file"):
        read_header(tmp_path / "a.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InvalidTeacher, match="pickle"):
        read_header(tmp_path / "b.pt")
    with pytest.raises(InvalidTeacher, match="cannot be read"):
        read_header(tmp_path / "gone")
    with pytest.raises(InvalidTeacher):
        read_header(tmp_path)


def test_caps():
    data = save({f"t{i}": torch.zeros(1) for i in range(10)})
    refused(data, "more than 5", Limits(tensors=5))
    refused(data, "header would have", Limits(header_bytes=20))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data):
    with suppress(InvalidTeacher):
        parse(data)
    with suppress(InvalidTeacher):
        parse(struct.pack("<Q", len(data)) + data)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(sorted(DTYPE_BYTES)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {"dtype": st.sampled_from(sorted(DTYPE_BYTES)) | json_values, "shape": st.lists(st.integers(-1, 9), max_size=3)}
    | {"data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2)}
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.text(max_size=6) | st.just("__metadata__"), entries | json_values, max_size=4),
    st.binary(max_size=60),
)
def test_random_headers_raise_nothing_else(header, body):
    with suppress(InvalidTeacher):
        found = parse(build(header, body))
        assert sum(info.bytes for info in found.tensors.values()) == len(body)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc.", min_size=1, max_size=5), st.lists(st.integers(0, 4), max_size=3), min_size=1))
def test_what_the_library_writes_is_accepted(shapes):
    data = save({name: torch.zeros(shape) for name, shape in shapes.items()})
    assert {name: list(info.shape) for name, info in parse(data).tensors.items()} == shapes
