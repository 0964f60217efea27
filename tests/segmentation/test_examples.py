"""The sheet of test images: who said what, and which colour is which class."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distill.tasks.segment_images.examples import GAP, SIDE, TITLE, Example, draw, place, shown, title

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def example(*classes: int) -> Example:
    image = Image.new("RGB", (SIDE, SIDE), "white")
    return Example(image, {f"mask {c}": np.full((SIDE, SIDE), c, np.int16) for c in classes})


def test_the_key_has_the_classes_that_are_shown_in_their_colours(tmp_path: Path) -> None:
    draw([example(2, -1)], ["road", "sky", "n" * 300], COLOURS, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (TITLE + SIDE + GAP + TITLE, 3 * (SIDE + GAP), 3)
    key = {tuple(pixel) for pixel in sheet[TITLE + SIDE + GAP :].reshape(-1, 3).tolist()}
    assert [colour in key for colour in COLOURS] == [False, False, True]


def test_only_classes_are_in_the_key() -> None:
    assert shown([example(1, -1), example(0)]) == [0, 1]
    assert shown([example(-1)]) == []


def test_a_class_whose_name_the_font_cannot_write_is_named_by_its_number() -> None:
    assert [title(4, name) for name in ("road", "道路", "a\nb", "")] == ["road", "class 4", "class 4", ""]


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=28), max_size=40))
def test_lines_of_the_key_do_not_overlap_and_hold_every_class(names: list[str]) -> None:
    places = place(names, 400)
    assert len(places) == len(names)
    assert all((a[1] == b[1] and a[0] < b[0]) or (b[0], b[1]) == (0, a[1] + 1) for a, b in pairwise(places))
    assert all(left < 400 for left, _ in places)
