"""Four images in one: the mosaic of YOLOv4 (Bochkovskiy et al. 2020, arXiv 2004.10934)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.modalities.images.canvas import blank
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks.detect_objects.boxes import Boxes, joined
from distill.tasks.detect_objects.framing import Frame, Size, boxes_in, lay, region

PIECES = 4
_CENTRE = (0.3, 0.7)
_SCALES = (0.5, 1.0)
_SEEDS = 2**24  # float32 in [0, 1) holds 24 bits


@dataclass(frozen=True, slots=True)
class Framed:
    """`corner` (top, left), `sides` (height, width): the part of the input, as shares, that a frame is laid into."""

    frame: Frame
    corner: tuple[float, float]
    sides: tuple[float, float]

    def part(self, size: Size) -> tuple[Size, Size]:
        """Its corner and size in pixels of an input of `size`."""
        top, left = round(self.corner[0] * size[0]), round(self.corner[1] * size[1])
        bottom, right = (round((self.corner[axis] + self.sides[axis]) * size[axis]) for axis in (0, 1))
        return (top, left), (max(1, bottom - top), max(1, right - left))


@dataclass(frozen=True, slots=True)
class Piece:
    """A sample, the part of the input that it gets, and its numbers as `distill.tasks.detect_objects.framing` has
    them."""

    sample: int
    corner: tuple[float, float]
    sides: tuple[float, float]
    numbers: list[float]

    def framed(self, image: Image.Image, boxes: Boxes, size: Size) -> Framed:
        """At a scale of 0.5 to 1 of what evaluation shows of the image; it fills its part, or as much as it can."""
        native = (image.height, image.width)
        scale = _SCALES[0] * (_SCALES[1] / _SCALES[0]) ** self.numbers[3]
        _, part = Framed(Frame((0, 0, 1, 1)), self.corner, self.sides).part(size)
        seen = scale * min(size[0] / native[0], size[1] / native[1])  # input pixels a pixel of the image
        fits = min(part[0] / native[0], part[1] / native[1])
        box = region(native, part, max(1.0, seen / fits), boxes, self.numbers)
        shrunk = min(1.0, seen / fits)
        frame = Frame(box, self.numbers[2] >= 0.5, shrunk)
        return Framed(frame, self.corner, self.sides)


def pieces(first: int, pool: NDArray[np.int64], numbers: list[float]) -> list[Piece]:
    """The sample itself and three of `pool` around a centre in the middle 0.3 to 0.7 of both sides, each in a corner of
    its own. All of it depends on the sample's numbers alone."""
    random = np.random.default_rng([int(number * _SEEDS) for number in numbers])
    samples = [first, *(int(each) for each in random.choice(pool, PIECES - 1))]
    down, across = random.uniform(*_CENTRE, 2).tolist()
    corners = ((0.0, 0.0), (0.0, across), (down, 0.0), (down, across))
    sides = ((down, across), (down, 1 - across), (1 - down, across), (1 - down, 1 - across))
    order = random.permutation(PIECES).tolist()
    return [
        Piece(sample, corners[at], sides[at], random.random(6).tolist())
        for sample, at in zip(samples, order, strict=True)
    ]


def compose(images: Sequence[Image.Image], framed: Sequence[Framed], how: Preprocessing) -> Image.Image:
    """What a network sees of a mosaic, mode RGB, or L for a network of one channel."""
    canvas = blank(how.mode, how)
    for image, each in zip(images, framed, strict=True):
        corner, size = each.part(how.size)
        lay(image.convert(how.mode), each.frame, how, canvas, corner, size)
    return canvas


def pieces_boxes(boxes: Sequence[Boxes], framed: Sequence[Framed], size: Size) -> Boxes:
    """The boxes of all pieces, in pixels of an input of `size`, by the rules of `boxes_in`."""
    return joined([_moved(each, one, size) for each, one in zip(boxes, framed, strict=True)])


def _moved(boxes: Boxes, framed: Framed, size: Size) -> Boxes:
    (top, left), part = framed.part(size)
    found = boxes_in(boxes, framed.frame, part)
    shift = np.array([left, top, left, top], np.float32)
    return Boxes(found.corners + shift, found.classes, found.ignored, found.crowd, found.areas)
