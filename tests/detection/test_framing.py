"""Image and boxes move together, and back to the image's own pixels exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.framing import Frame, boxes_in, drawn, show, shown_size, whole
from distill.tasks.detect_objects.mosaic import compose, pieces, pieces_boxes

MEAN, STD = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
side = st.integers(4, 300)
number = st.floats(0, 0.999)


def boxes(corners: list[tuple[float, ...]], ignored: bool = False) -> Boxes:
    found = np.array(corners, np.float32).reshape(-1, 4)
    areas = (found[:, 2:] - found[:, :2]).prod(1)
    count = len(found)
    return Boxes(found, np.arange(count), np.full(count, ignored), np.zeros(count, np.bool_), areas)


def seeing(size: tuple[int, int], interpolation: str = "nearest") -> Preprocessing:
    return Preprocessing(MEAN, STD, size, interpolation)  # type: ignore[arg-type]


def marked(native: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """Black, white within the box."""
    pixels = np.zeros((*native, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    return Image.fromarray(pixels)


@given(st.tuples(side, side), st.tuples(side, side), st.lists(number, min_size=6, max_size=6))
@settings(max_examples=150, deadline=None)
def test_back_to_the_image_exactly(native: tuple[int, int], size: tuple[int, int], numbers: list[float]) -> None:
    height, width = native
    made = boxes([(0, 0, width, height), (width / 4, height / 4, width / 2, height / 2)])
    for frame in (whole(native), drawn(native, size, made, numbers)):
        moved = frame.to_input(made.corners, size)
        assert np.abs(frame.to_image(moved, size) - made.corners).max() <= 1e-4 * max(native)


@given(st.tuples(side, side), st.tuples(side, side))
@settings(max_examples=100, deadline=None)
def test_a_whole_image_fills_one_side_and_keeps_its_shape(native: tuple[int, int], size: tuple[int, int]) -> None:
    height, width = shown_size(native, size)
    assert height == size[0] or width == size[1]
    assert abs(height * native[1] - width * native[0]) <= max(native)  # half a pixel of rounding
    assert whole(native).place(size).left == whole(native).place(size).top == 0
    factors = np.array([native[1] / width, native[0] / height] * 2)
    corners = np.array([[0, 0, width, height]], np.float32)
    assert np.allclose(whole(native).to_image(corners, size), corners * factors)


def test_the_rest_has_the_mean_colour() -> None:
    shown = np.asarray(show(Image.new("RGB", (20, 10), "white"), whole((10, 20)), seeing((40, 40))))
    assert (shown[:20] == 255).all()
    assert (shown[20:] == 128).all()


@given(st.lists(number, min_size=6, max_size=6), st.sampled_from([(60, 60), (40, 80), (90, 50)]))
@settings(max_examples=60, deadline=None)
def test_pixels_and_boxes_move_alike(numbers: list[float], size: tuple[int, int]) -> None:
    box = (30, 20, 62, 44)
    made = boxes([box])
    frame = drawn((80, 120), size, made, numbers)
    found = boxes_in(made, frame, size)
    assert len(found) == 1  # a crop holds the centre of a box
    white = np.asarray(show(marked((80, 120), box), frame, seeing(size)))[:, :, 0] > 200
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(found.corners[0] - seen).max() <= 1.5
    assert not found.ignored[0]


def test_a_box_at_the_edge_of_a_crop() -> None:
    """Clipped where its centre is seen; ignored where only a part is; gone where nothing is."""
    frame = Frame((10.0, 0.0, 30.0, 20.0))
    found = boxes_in(boxes([(5, 5, 25, 15), (0, 5, 14, 15), (31, 5, 40, 15), (12, 5, 12.2, 15)]), frame, (20, 20))
    assert found.classes.tolist() == [0, 1, 3]
    assert found.corners[:2].tolist() == [[0, 5, 15, 15], [0, 5, 4, 15]]
    assert found.ignored.tolist() == [False, True, True]  # the last is thinner than a pixel


def test_a_mirrored_frame() -> None:
    frame = Frame((0.0, 0.0, 40.0, 20.0), mirrored=True)
    assert frame.to_input(np.array([[0, 0, 10, 20]], np.float32), (20, 40)).tolist() == [[30, 0, 40, 20]]


def test_student_and_teacher_see_the_same_part() -> None:
    made = boxes([(30, 20, 62, 44)])
    frame = drawn((80, 120), (60, 90), made, [0.3, 0.6, 0.9, 0.8, 0.2, 0.5])
    small, large = (boxes_in(made, frame, size).corners[0] for size in ((60, 90), (120, 180)))
    assert np.allclose(small * 2, large, atol=1)


@pytest.mark.parametrize("seed", range(8))
def test_a_mosaic_shows_each_piece_with_its_boxes(seed: int) -> None:
    size, numbers = (96, 128), np.random.default_rng(seed).random(6).tolist()
    box = (30, 20, 62, 44)
    found = pieces(3, np.arange(10, 20), numbers)
    assert found[0].sample == 3
    assert all(10 <= piece.sample < 20 for piece in found[1:])
    images, made = [marked((80, 120), box)] * 4, boxes([box])
    framed = [piece.framed(image, made, size) for piece, image in zip(found, images, strict=True)]
    moved = pieces_boxes([made] * 4, framed, size)
    assert len(moved) == 4
    assert not moved.ignored.any()
    shown = np.asarray(compose(images, framed, seeing(size)))[:, :, 0] > 200
    drawn_ = np.zeros(size, np.bool_)
    for x1, y1, x2, y2 in moved.corners.round().astype(int).tolist():
        drawn_[y1:y2, x1:x2] = True
    assert (shown == drawn_).mean() > 0.97
    with_ignored = pieces_boxes([boxes([box], ignored=True)] * 4, framed, size)
    assert with_ignored.ignored.all()


def test_a_mosaic_depends_on_its_numbers_alone() -> None:
    numbers = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert pieces(0, np.arange(9), numbers) == pieces(0, np.arange(9), numbers)
    assert pieces(0, np.arange(9), numbers) != pieces(0, np.arange(9), [*numbers[:5], 0.7])
