"""What a header says of the training: what our exporter wrote is read, anything else is refused and never crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import InvalidTeacher
from distill.recorded import read_view, recorded_classes, recorded_recipe, recorded_view

GOOD: dict[str, Any] = {
    "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "size": [32, 24], "interpolation": "bicubic", "channels": 3,
    "crop": 0.9, "pixel_range": [0, 4095], "channel_order": "BGR",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=6),
)


def test_what_the_exporter_writes_is_read_back() -> None:
    view = read_view(json.dumps(GOOD))
    assert view == GOOD | {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7), "size": (32, 24), "pixel_range": (0, 4095)}
    assert recorded_view({"preprocessing": json.dumps(GOOD)}, 3) == view
    assert recorded_view({"other": "x"}, 3) is None
    added = {"pixel_range": None, "channel_order": "RGB"}  # by later releases
    older = read_view(json.dumps({name: value for name, value in GOOD.items() if name not in added}))
    assert older == view | added


@pytest.mark.parametrize("value", [[], [1], [5, 5], [0, 70_000], [-1, 5], "ab", 3, {}, [0, 1, 2]])
def test_a_range_that_is_none_is_an_invalid_teacher(value: object) -> None:
    with pytest.raises(InvalidTeacher):
        read_view(json.dumps(GOOD | {"pixel_range": value}))


WRONG = {
    "mean": ([], [0.1], "abc", None, [0.1, 0.2, float("nan")]),
    "std": ([0.5, 0.6, 0.0], [0.5, 0.6, float("inf")], 1),
    "size": ([], 224, [32], [0, 32], [32, 5000], [float("inf"), 1], ["a", "b"]),
    "interpolation": ("lanczos", None, ["bilinear"]),
    "channels": (1, "x", None),
    "crop": (0, 1.5, float("nan"), "x"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_one_wrong_entry_is_an_invalid_teacher(name: str, value: object) -> None:
    for broken in (GOOD | {name: value}, {key: each for key, each in GOOD.items() if key != name}):
        with pytest.raises(InvalidTeacher, match="preprocessing") as caught:
            read_view(json.dumps(broken))
        assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "imagenet", "null", "[]", '"x"', "[" * 100_000, "1e999", "9" * 5000])
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(InvalidTeacher):
        read_view(text)


@given(JSON | st.builds(lambda more: GOOD | more, st.dictionaries(st.sampled_from(list(GOOD)), JSON, max_size=2)))
def test_any_json_is_a_sound_view_or_refused(value: object) -> None:
    try:
        view = read_view(json.dumps(value))
    except InvalidTeacher:
        return
    assert len(view["mean"]) == len(view["std"]) == view["channels"]


def test_a_view_of_other_channels_than_the_weights_take_is_refused() -> None:
    with pytest.raises(InvalidTeacher, match="3 channels, and its weights take 1"):
        recorded_view({"preprocessing": json.dumps(GOOD)}, 1)


@given(st.text() | JSON.map(json.dumps))
def test_a_foreign_recipe_is_none(text: str) -> None:
    assert isinstance(recorded_recipe({"recipe": text}), str)
    assert recorded_recipe({"recipe": json.dumps("logit")}) == "logit"
    assert recorded_recipe({"recipe": "cosine"}) == recorded_recipe({}) == ""


@pytest.mark.parametrize("text", ["[]", "{}", "7", "[1, 2]", '["a", ["b"]]', "not json", '"ab"'])
def test_classes_of_somebody_elses_header_are_none(text: str) -> None:
    assert recorded_classes({"classes": text}) == recorded_classes({}) == ()
    assert recorded_classes({"classes": '["b", "a"]'}) == ("b", "a")
