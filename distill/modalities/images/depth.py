"""From grey of 16 bits a pixel to the bytes that networks see. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distill.errors import InvalidDataset

PixelRange = tuple[int, int]
"""The 16-bit values that become 0 (black) and 255 (white)."""


def mark(between: PixelRange | None) -> bytes:
    """What the range adds to a dataset's digest: nothing where none was given."""
    return b"" if between is None else f"\npixel range {between[0]} {between[1]}\n".encode()


class Looked(Protocol):
    """What was seen of a split's images: the largest value of each that has 16 bits, how many were decoded, and
    which could not be."""

    @property
    def peaks(self) -> list[int]: ...
    @property
    def verified(self) -> int: ...
    @property
    def corrupt(self) -> dict[str, str]: ...


def to_bytes(values: NDArray[np.integer], between: PixelRange | None) -> NDArray[np.uint8]:
    """(h, w) of 16 bits -> uint8: round(255 (v - low) / (high - low)), values outside become 0 and 255; without a range
    the upper byte."""
    wide: NDArray[np.int64] = values.astype(np.int64)
    if between is None:
        scaled = wide >> 8
    else:
        low, high = between
        scaled = (2 * 255 * (wide - low) + (high - low)) // (2 * (high - low))
    as_bytes: NDArray[np.uint8] = scaled.clip(0, 255).astype(np.uint8)
    return as_bytes


def range_notes(seen: Mapping[str, Looked], between: PixelRange | None, images: int) -> list[str]:
    """What was found of images with 16 bits a pixel, by split, and how they are read. `images`: how many there
    are. Raises `InvalidDataset` for a range where all were looked at and none has 16 bits."""
    peaks = {split: max(each.peaks) for split, each in seen.items() if each.peaks}
    wide, every = sum(len(each.peaks) for each in seen.values()), sum(each.verified for each in seen.values())
    eight = f" The other {every - wide} images have 8 bits." if every > wide else ""
    if between is not None:
        if not wide and every + sum(len(each.corrupt) for each in seen.values()) == images:
            raise _none_is_wide()
        return [_scaled(wide, between, max(peaks.values(), default=0)) + eight]
    bits = {split: value.bit_length() for split, value in peaks.items()}
    if not bits or min(bits.values()) == 16:
        return []
    reach = " and ".join(f"{value:,} ({bits[split]} bits) in {split}" for split, value in peaks.items())
    return [
        f"{wide} images have 16 bits a pixel, but their values reach only {reach}. Of 16 bits the upper byte is kept: "
        f"they are read as 0 to {max(peaks.values()) >> 8} of 255, nearly black.{eight} {_offer(set(bits.values()))}"
    ]


def _none_is_wide() -> InvalidDataset:
    return InvalidDataset(
        "The dataset has a pixel_range, and none of its images has 16 bits a pixel.",
        "Register it without pixel_range: images of 8 bits are read as they are.",
    )


def _scaled(wide: int, between: PixelRange, peak: int) -> str:
    low, high = between
    above = f" Values above {high:,} are white; there are some up to {peak:,}." if peak > high else ""
    return f"{wide} images have 16 bits a pixel; their values {low:,} to {high:,} are read as 0 to 255.{above}"


def _offer(bits: set[int]) -> str:
    if len(bits) > 1:
        return (
            "To use the whole range, scale each split by its own range before you send it, or register the dataset "
            f"with pixel_range [0, {2 ** max(bits) - 1}] if both were taken with {max(bits)} bits."
        )
    return (
        f"To use the whole range, register the dataset with pixel_range [0, {2 ** bits.pop() - 1}]: the student then "
        "sees new images the same way."
    )
