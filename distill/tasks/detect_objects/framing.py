"""Which part of an image is shown where, of which scale and whether mirrored; and its boxes there. One draw for image
and boxes, for teacher and student.

An image keeps its shape: it is resized as a whole and laid into the upper left of the input, and the rest has the mean
colour (as torchvision's detectors pad). So evaluation maps back by one factor a side, without an offset:

    x = x_input * width / shown width,  y = y_input * height / shown height,  shown sides = round(sides * scale),
    scale = min(input height / height, input width / width)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.modalities.images.canvas import blank
from distill.modalities.images.crops import Box
from distill.modalities.images.pixel_crops import RESAMPLING
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks.detect_objects.boxes import Boxes

Size = tuple[int, int]
Corners = NDArray[np.float32]
SCALES = (0.5, 2.0)
LEAST_SIDE = 1.0
"""Pixels of the input: a smaller box of an augmented view is not learnt from."""


@dataclass(frozen=True, slots=True)
class Place:
    """Integer pixels of the input."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Frame:
    """`box`: the part of the image that is shown, in its pixels. `scale` <= 1: its size as a share of the largest that
    fits; `left`, `top`: of what is left over, the share before it."""

    box: Box
    mirrored: bool = False
    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def place(self, size: Size) -> Place:
        """Where an input of `size` (height, width) has it."""
        box_w, box_h = self.box[2] - self.box[0], self.box[3] - self.box[1]
        scale = self.scale * min(size[0] / box_h, size[1] / box_w)
        height, width = max(1, min(size[0], round(box_h * scale))), max(1, min(size[1], round(box_w * scale)))
        return Place(round((size[0] - height) * self.top), round((size[1] - width) * self.left), height, width)

    def to_input(self, corners: Corners, size: Size) -> Corners:
        """(n, 4) in pixels of the image -> in pixels of an input of `size`, not clipped."""
        place, (x0, y0, x1, y1) = self.place(size), self.box
        across = (corners[:, [0, 2]].astype(np.float64) - x0) * (place.width / (x1 - x0))
        down = (corners[:, [1, 3]].astype(np.float64) - y0) * (place.height / (y1 - y0))
        if self.mirrored:
            across = (place.width - across)[:, ::-1]
        return _corners(across + place.left, down + place.top)

    def to_image(self, corners: Corners, size: Size) -> Corners:
        """(n, 4) in pixels of an input of `size` -> in pixels of the image: what `to_input` does, undone."""
        place, (x0, y0, x1, y1) = self.place(size), self.box
        across = corners[:, [0, 2]].astype(np.float64) - place.left
        if self.mirrored:
            across = (place.width - across)[:, ::-1]
        down = corners[:, [1, 3]].astype(np.float64) - place.top
        return _corners(across * ((x1 - x0) / place.width) + x0, down * ((y1 - y0) / place.height) + y0)


def _corners(across: NDArray[np.float64], down: NDArray[np.float64]) -> Corners:
    return np.stack([across[:, 0], down[:, 0], across[:, 1], down[:, 1]], 1).astype(np.float32)


def whole(native: Size) -> Frame:
    """All of an image of (height, width): what evaluation shows."""
    return Frame((0.0, 0.0, float(native[1]), float(native[0])))


def shown_size(native: Size, size: Size) -> Size:
    """(height, width) that an image of `native` takes of an input of `size`: its upper left part."""
    place = whole(native).place(size)
    return place.height, place.width


def drawn(native: Size, size: Size, boxes: Boxes, numbers: list[float]) -> Frame:
    """A random scale, log-uniform in 0.5 to 2 of what evaluation shows, at a random place, mirrored half of the time.
    Enlarged, the image is cropped, and the crop holds the centre of a box drawn at random where there is one that
    counts (**our choice**: crops of nothing but background teach little); reduced, the rest has the mean colour.
    `numbers`: position x, position y, flip, scale, which box, each in [0, 1)."""
    scale = SCALES[0] * (SCALES[1] / SCALES[0]) ** numbers[3]
    mirrored = numbers[2] >= 0.5
    if scale <= 1:
        return replace(whole(native), mirrored=mirrored, scale=scale, left=numbers[0], top=numbers[1])
    return Frame(region(native, size, scale, boxes, numbers), mirrored)


def region(native: Size, size: Size, scale: float, boxes: Boxes, numbers: list[float]) -> Box:
    """The part of an image that fills an input of `size` at `scale` times what evaluation shows, or all of it along a
    side that is shorter than that. `numbers`: position x, position y, -, -, which box."""
    (height, width), least = native, min(size[0] / native[0], size[1] / native[1])
    sides = min(float(width), size[1] / (least * scale)), min(float(height), size[0] / (least * scale))
    counting = boxes.corners[~boxes.ignored]
    centre = None
    if len(counting):
        one = counting[int(numbers[4] * len(counting))].astype(np.float64)
        centre = ((one[0] + one[2]) / 2, (one[1] + one[3]) / 2)
    left, top = (
        _start(side, whole_side, numbers[axis], None if centre is None else centre[axis])
        for axis, (side, whole_side) in enumerate(zip(sides, (width, height), strict=True))
    )
    return (left, top, min(float(width), left + sides[0]), min(float(height), top + sides[1]))


def _start(side: float, whole_side: float, number: float, centre: float | None) -> float:
    """Where a stretch of `side` begins on 0..`whole_side`, so that it holds `centre`."""
    low, high = 0.0, whole_side - side
    if centre is not None:
        low, high = max(low, min(high, centre - side)), min(high, max(low, centre))
    return low + number * (high - low)


def show(image: Image.Image, frame: Frame, how: Preprocessing) -> Image.Image:
    """What a network sees of a decoded image, mode L or RGB, of its input's size."""
    image = image.convert("L") if how.channels == 1 else image
    canvas = blank(image.mode, how)
    lay(image, frame, how, canvas, (0, 0), how.size)
    return canvas


def lay(
    image: Image.Image, frame: Frame, how: Preprocessing, canvas: Image.Image, corner: Size, size: Size
) -> None:  # fmt: skip
    """Put a frame into the part of `canvas` that begins at `corner` (top, left) and has `size`."""
    place = frame.place(size)
    if (place.height, place.width) != image.size[::-1] or frame.box != whole(image.size[::-1]).box:
        image = image.resize((place.width, place.height), RESAMPLING[how.interpolation], box=frame.box)
    if frame.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas.paste(image, (corner[1] + place.left, corner[0] + place.top))


def boxes_in(boxes: Boxes, frame: Frame, size: Size) -> Boxes:
    """The boxes of a view, in its pixels. All of a view that shows the whole image. Else each is clipped to what is
    shown; one whose centre is not shown, or that is smaller than a pixel there, is ignored: it is neither to be found
    nor background; one that is not shown at all is left out."""
    place, moved = frame.place(size), frame.to_input(boxes.corners, size)
    edges = np.array([place.left, place.top, place.left + place.width, place.top + place.height], np.float32)
    centre = (moved[:, :2] + moved[:, 2:]) / 2
    inside = ((centre >= edges[:2]) & (centre <= edges[2:])).all(1)
    clipped = np.clip(moved, np.tile(edges[:2], 2), np.tile(edges[2:], 2))
    sides = clipped[:, 2:] - clipped[:, :2]
    small = (sides < LEAST_SIDE).any(1)
    grown = float(place.height * place.width) / max(1e-9, (frame.box[2] - frame.box[0]) * (frame.box[3] - frame.box[1]))
    view = Boxes(
        clipped, boxes.classes, boxes.ignored | ~inside | small, boxes.crowd, (boxes.areas * grown).astype(np.float32)
    )  # fmt: skip
    shown: NDArray[np.bool_] = np.asarray((sides > 0).all(1), np.bool_)
    return view.pick(shown)
