"""Crop, scale and flip of an image and its mask: one draw for both, and for teacher and student."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.modalities.images.canvas import blank
from distill.modalities.images.crops import Box
from distill.modalities.images.pixel_crops import RESAMPLING
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.samples import to_array
from distill.tasks.segment_images.legend import IGNORED

SCALES = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """`box`: the part of the image that is shown, in its pixels. `scale` <= 1: the side of the output that it takes, as
    a share; `left`, `top`: of what is left over, the share before it. The rest is outside of the image."""

    box: Box
    mirrored: bool = False
    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def place(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) in an output of `size` pixels."""
        height, width = (max(1, round(side * self.scale)) for side in size)
        return round((size[0] - height) * self.top), round((size[1] - width) * self.left), height, width


def whole(native: tuple[int, int]) -> Frame:
    """All of an image of (height, width): what evaluation shows, resized to the input whatever its shape."""
    return Frame((0.0, 0.0, float(native[1]), float(native[0])))


def drawn(native: tuple[int, int], numbers: list[float]) -> Frame:
    """A random scale, log-uniform in 0.5 to 2 of what evaluation shows, a random place, mirrored half of the time.
    Enlarged, the image is cropped; reduced, what is around it has the mean colour and no class. `numbers`: position x,
    position y, flip, scale, each in [0, 1). The image keeps its shape, so that training and evaluation distort alike.
    """
    height, width = native
    scale = SCALES[0] * (SCALES[1] / SCALES[0]) ** numbers[3]
    mirrored = numbers[2] >= 0.5
    if scale <= 1:
        return Frame(whole(native).box, mirrored, scale, numbers[0], numbers[1])
    box_w, box_h = width / scale, height / scale
    left, top = numbers[0] * (width - box_w), numbers[1] * (height - box_h)
    return Frame((left, top, min(float(width), left + box_w), min(float(height), top + box_h)), mirrored)


def show(image: Image.Image, frame: Frame, how: Preprocessing) -> NDArray[np.uint8]:
    """uint8 (c, h, w): what a network sees of a decoded image."""
    image = image.convert("L") if how.channels == 1 else image
    top, left, height, width = frame.place(how.size)
    if (height, width) != image.size[::-1] or frame.box != whole(image.size[::-1]).box:
        image = image.resize((width, height), RESAMPLING[how.interpolation], box=frame.box)
    if (height, width) != how.size:
        canvas = blank(image.mode, how)
        canvas.paste(image, (left, top))
        image = canvas
    if frame.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return to_array(image)


def show_mask(classes: NDArray[np.int16], frame: Frame, size: tuple[int, int]) -> NDArray[np.int16]:
    """(h, w) of a mask (height, width): the class of the nearest pixel, `IGNORED` outside of the image."""
    top, left, height, width = frame.place(size)
    x0, y0, x1, y1 = frame.box
    rows = _nearest(y0, y1, height, classes.shape[0])
    columns = _nearest(x0, x1, width, classes.shape[1])
    shown = classes[rows[:, None], columns[None, :]]
    if (height, width) != size:
        canvas = np.full(size, IGNORED, np.int16)
        canvas[top : top + height, left : left + width] = shown
        shown = canvas
    return np.ascontiguousarray(shown[:, ::-1]) if frame.mirrored else shown


def _nearest(low: float, high: float, count: int, limit: int) -> NDArray[np.int64]:
    """The pixels that hold the centres of `count` equal parts of low..high."""
    centres = low + (np.arange(count) + 0.5) * (high - low) / count
    return np.clip(np.floor(centres).astype(np.int64), 0, limit - 1)
