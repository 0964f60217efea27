"""A mask's values, from its file: 8- or 16-bit grey, palette, or colours. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.data.limits import DEFAULT
from distill.modalities.images.sources import Source, UnreadableImage, opened
from distill.tasks.segment_images.legend import IGNORED, Colour, Legend, packed, refuse, refuse_values

LOSSY = frozenset({"JPEG", "WEBP"})
_SIXTEEN = frozenset({"I", "I;16", "I;16B", "I;16L"})


@dataclass(frozen=True, slots=True)
class Mask:
    """`values` (h, w): grey values or palette indices, or packed colours where `coloured`. `palette`: its colours."""

    values: NDArray[np.int32]
    coloured: bool
    palette: tuple[Colour, ...] | None = None

    def colours_of(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """The palette's packed colours of some values; -1, which is no colour, beyond the palette."""
        colours = np.array([*map(packed, self.palette or ()), -1], np.int32)
        found: NDArray[np.int32] = colours[values.clip(max=len(colours) - 1)]
        return found

    def counts(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The values that are there, ascending, and how many pixels have each."""
        if self.coloured or self.values.max(initial=0) > 65535 or self.values.min(initial=0) < 0:
            values, counts = np.unique(self.values, return_counts=True)
            return values.astype(np.int32), counts.astype(np.int64)
        every = np.bincount(self.values.ravel())  # a tenth of the time of a sort
        there = np.flatnonzero(every)
        return there.astype(np.int32), every[there].astype(np.int64)


def read_mask(data: bytes, name: str, colours: bool = False, pixels: int = DEFAULT.pixels) -> Mask:
    """Decode. `colours`: the dataset says what colours mean, so an RGB or palette mask without grey values is read by
    its colours; else an RGB mask counts as grey where its three channels are equal.

    Raises `UnreadableImage`; `InvalidDataset` for lossy formats (JPEG, WebP), whose values are not those written.
    """
    image, head = opened(data, name, pixels)
    if image.format in LOSSY:
        what = f"{name} is a {image.format}, which changes values at every border"
        refuse(what, "Save masks as PNG when they are made: a converted file keeps the wrong values.", mask=name)
    try:
        return _decoded(image, head.mode, name, colours)
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}"[:200]) from error


def _decoded(image: Image.Image, mode: str, name: str, colours: bool) -> Mask:
    if mode == "P":
        return Mask(np.asarray(image, np.int32), False, _palette(image))
    if mode in ("1", "L") or mode in _SIXTEEN:
        return Mask(np.asarray(image).astype(np.int32), False)
    if mode in ("LA", "La"):
        return Mask(np.asarray(image, np.int32)[:, :, 0], False)
    if mode == "F":
        raise UnreadableImage("it has floating point values; write it with 8 or 16 bits")
    rgb = np.asarray(image.convert("RGB"), np.int32)
    if colours or (rgb != rgb[:, :, :1]).any():
        return Mask(rgb[:, :, 0] << 16 | rgb[:, :, 1] << 8 | rgb[:, :, 2], True)
    return Mask(rgb[:, :, 0], False)


def _palette(image: Image.Image) -> tuple[Colour, ...]:
    flat = image.getpalette("RGB") or []
    return tuple((flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat) - 2, 3))


class Masks:
    """Class maps of a split, by position. Can be sent to a worker process."""

    def __init__(self, source: Source, legend: Legend) -> None:
        self.source, self.legend = source, legend

    def __len__(self) -> int:
        return len(self.source)

    def classes(self, i: int) -> NDArray[np.int16]:
        """(h, w), `IGNORED` where a pixel has no class. Raises `UnreadableImage`, `InvalidDataset`."""
        name = self.source.name(i)
        mask = read_mask(self.source.content(i), name, bool(self.legend.colours))
        return classes_of(mask, self.legend, name)


def classes_of(mask: Mask, legend: Legend, name: str) -> NDArray[np.int16]:
    """A mask's classes (h, w) by a legend. Raises `InvalidDataset` for values that are none of its classes."""
    if mask.palette is not None and legend.by_colour:
        values, counts = mask.counts()
        colours = mask.colours_of(values)
        found = legend.by_palette(values, colours)
        if foreign := [i for i, number in enumerate(found) if number is None]:
            refuse_values(name, np.repeat(colours[foreign], counts[foreign]), True, legend)
        table = np.full(values.max(initial=0) + 1, IGNORED, np.int16)
        table[values] = found
        return table[mask.values]
    return legend.numbers(mask.values, mask.coloured, name)
