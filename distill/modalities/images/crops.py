"""Crops and flips. Small images: whole batches by indexing. Large images: one box for teacher and student."""

from __future__ import annotations

from math import exp, log, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[float, float, float, float]
_AREA, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def crop_flip(pixels: Tensor, numbers: Tensor) -> Tensor:
    """Zero-pad by an eighth of the side (4 pixels at 32), crop back at random, mirror half of them (He et al. 2016).

    uint8 (n, c, h, w) and numbers (n, >= 3) in [0, 1) -> uint8 (n, c, h, w); row i depends on numbers[i] alone.
    """
    n, _, h, w = pixels.shape
    pad_y, pad_x = max(1, h // 8), max(1, w // 8)
    padded = F.pad(pixels, (pad_x, pad_x, pad_y, pad_y))
    top, left = (numbers[:, 0] * (2 * pad_y + 1)).long(), (numbers[:, 1] * (2 * pad_x + 1)).long()
    columns = torch.arange(w, device=pixels.device).expand(n, w)
    columns = torch.where(numbers[:, 2:3] < 0.5, columns, w - 1 - columns) + left[:, None]
    rows = top[:, None] + torch.arange(h, device=pixels.device)
    samples = torch.arange(n, device=pixels.device)
    # Channels last in the index, moved back: one gather makes padding, crop and mirror.
    return padded.permute(0, 2, 3, 1)[samples[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def evaluated(pixels: Tensor, size: tuple[int, int], crop: float) -> Tensor:
    """What evaluation keeps of small images of one size: the centre where they are larger on both sides, else all."""
    larger = pixels.shape[-2] > size[0] and pixels.shape[-1] > size[1]
    return centre(pixels, size, crop) if larger else pixels


def centre(pixels: Tensor, size: tuple[int, int], crop: float) -> Tensor:
    """The centre crop of evaluation for a batch of one size: see `centre_box`."""
    h, w = pixels.shape[-2:]
    left, top, right, bottom = (round(edge) for edge in centre_box((h, w), size, crop))
    return pixels if (right - left, bottom - top) == (w, h) else pixels[..., top:bottom, left:right]


def centre_box(native: tuple[int, int], size: tuple[int, int], crop: float) -> Box:
    """(left, top, right, bottom) of the largest centred box with the shape of `size`, times `crop` where the image is
    larger than `size` on both sides (our choice: a smaller image is shown whole)."""
    (h, w), (height, width) = native, size
    scale = min(h / height, w / width) * (crop if min(h / height, w / width) > 1 else 1.0)
    box_h, box_w = min(float(h), height * scale), min(float(w), width * scale)  # which rounding may lift past the edge
    return ((w - box_w) / 2, (h - box_h) / 2, (w + box_w) / 2, (h + box_h) / 2)


def random_box(native: tuple[int, int], numbers: list[float]) -> Box:
    """A random resized crop: area uniform in 8 % to 100 % of the image, log aspect ratio uniform in 3/4 to 4/3.

    Our choice: a box that does not fit is clipped to the image instead of drawn again, so that each sample takes the
    same count of random numbers. `numbers`: position x, position y, -, area, ratio, each in [0, 1).
    """
    h, w = native
    area = h * w * (_AREA[0] + numbers[3] * (_AREA[1] - _AREA[0]))
    ratio = exp(log(_RATIO[0]) + numbers[4] * (log(_RATIO[1]) - log(_RATIO[0])))
    box_w, box_h = min(float(w), sqrt(area * ratio)), min(float(h), sqrt(area / ratio))
    left, top = numbers[0] * (w - box_w), numbers[1] * (h - box_h)
    return (left, top, min(float(w), left + box_w), min(float(h), top + box_h))
