"""A stream of JSON read value by value is what the whole of it says, however the stream is cut."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.json_cursor import JsonCursor
from distill.data.lines import Pieces
from distill.data.row_checks import RowLimits


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, whatever it is asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, count: int | None = -1) -> bytes:
        return super().read(self._step)


def cursor(text: str, step: int = 1 << 20, most: int = 10_000) -> JsonCursor:
    return JsonCursor(Pieces(Trickle(text.encode(), step), RowLimits(), "a.json"), most, constant=float)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), st.lists(values, max_size=4), max_size=4), st.integers(1, 50), st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_members_and_items_are_those_of_the_whole(data: dict[str, list[Any]], step: int, spaced: bool) -> None:
    found, reader = {}, cursor(json.dumps(data, indent=1 if spaced else None), step)
    for key in reader.members():
        found[key] = list(reader.items())
    assert found == data
    assert reader.peek() == ""


@given(values, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_a_value_may_be_passed_over(value: Any, step: int) -> None:
    reader = cursor(json.dumps({"a": value, "b": 12345.678e-3}), step)
    keys = reader.members()
    assert next(keys) == "a"
    reader.skip()
    assert next(keys) == "b"
    assert reader.value() == 12.345678


@pytest.mark.parametrize("text", ["[1 2]", "[1,", '{"a" 1}', '{"a": 1,}', "{1: 2}", '{"a": [1, ]}', "", '{"a": tru}'])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(text)


def read(text: str) -> None:
    reader = cursor(text)
    if text.startswith("["):
        list(reader.items())
    for _ in reader.members():
        reader.value()


def test_a_value_has_a_largest_size() -> None:
    long = json.dumps({"a": "x" * 200_000})
    with pytest.raises(ValueError, match=r"\w"):
        cursor(long, step=1000, most=5000).value()
    assert cursor(long, step=1000, most=300_000).value()
