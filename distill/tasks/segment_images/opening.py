"""From a `DatasetInput` to splits whose images and masks have been looked at. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.labelled import check_together
from distill.data.limits import DEFAULT, Limits
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.errors import InvalidDataset
from distill.modalities.images.depth import PixelRange, mark, range_notes
from distill.modalities.images.scan import Scan
from distill.modalities.images.sources import Picked, Source, UnreadableImage
from distill.tasks.segment_images.kinds import Opened, open_pairs
from distill.tasks.segment_images.legend import (
    Colour,
    Legend,
    check_count,
    packed,
    refuse,
    refuse_values,
    unnamed,
    unpacked,
    with_palette,
)
from distill.tasks.segment_images.masks import Masks, read_mask
from distill.tasks.segment_images.pairing import some
from distill.types import DatasetInput


@dataclass(frozen=True, slots=True)
class Split:
    """Readable pairs: (height, width) (n, 2), whether the image is grey (n), labelled pixels by class (n, C), pixels
    without a class (n), sha256 of each image with its mask."""

    images: Source
    masks: Masks
    sizes: NDArray[np.int64]
    gray: NDArray[np.bool_]
    pixels: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    digests: list[bytes]

    def __len__(self) -> int:
        return len(self.sizes)

    def pick(self, indices: NDArray[np.int64]) -> Split:
        """Some of the samples, in the order of `indices`."""
        return Split(
            Picked(self.images, indices), Masks(Picked(self.masks.source, indices), self.masks.legend),
            self.sizes[indices], self.gray[indices], self.pixels[indices], self.unlabelled[indices],
            [self.digests[i] for i in indices],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """An opened dataset without torch. `corrupt`, `other_size`: image -> why it was left out; `unmasked`: images
    without a mask; `verified`: how many images were decoded and not only had their headers read."""

    name: str
    legend: Legend
    train: Split
    test: Split
    digest: str
    notes: tuple[str, ...]
    corrupt: dict[str, str]
    other_size: dict[str, str]
    unmasked: tuple[str, ...]
    verified: int

    @property
    def classes(self) -> tuple[str, ...]:
        return self.legend.classes


def open_raw(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Raw:
    """Open, look at every pair, leave out what cannot be read, masks of another size than their image (both together
    within `limits.corrupt_fraction`) and images without a labelled pixel, hold out a test split where there is none
    (20 %, seed 0, stratified by `stratify.rarest`). Everything left out is named in the notes.

    Every mask is decoded, in every run: its values are checked, its pixels counted. Raises `InvalidDataset`.
    """
    found = open_pairs(dataset, limits, scratch)
    for pairs in found.splits.values():
        pairs.images.scale(dataset.pixel_range)
    scans = {name: _Scan(pairs.images, limits, pairs.masks, found.legend) for name, pairs in found.splits.items()}
    _check_left_out(scans, limits)
    legend, said = _legend(found, scans)
    check_together(legend.classes)
    splits, bare = {}, list[str]()
    for name, scan in scans.items():
        splits[name], empty = scan.split(legend, name)
        bare += empty
    notes = [*found.notes, *said, *_notes(scans, bare)]
    notes += range_notes(scans, dataset.pixel_range, sum(len(scan.images) for scan in scans.values()))
    if "test" not in splits:
        splits = _hold_out(splits["train"])
        notes.append(f"No test split: {HOLD_OUT:.0%} held out, stratified by rarest class, seed {HOLD_OUT_SEED}.")
    notes += _nowhere(legend, splits)
    return Raw(
        dataset.name, legend, splits["train"], splits["test"],
        digest(legend, splits, dataset.pixel_range), tuple(notes),
        _merged(scan.corrupt for scan in scans.values()), _merged(scan.other_size for scan in scans.values()),
        found.unmasked, sum(scan.verified for scan in scans.values()),
    )  # fmt: skip


def digest(legend: Legend, splits: dict[str, Split], between: PixelRange | None = None) -> str:
    """sha256, hex, over the classes, what values mean, and per split in order every image with its mask; and the range
    in which 16-bit grey is read, where one was given."""
    meaning = [legend.classes, sorted(legend.values.items()), sorted(legend.colours.items())]
    meaning += ["palettes by colour"] * legend.by_colour
    whole = hashlib.sha256(b"retort masks 1\n" + json.dumps(meaning).encode())
    whole.update(mark(between))
    for name in sorted(splits):
        whole.update(f"\n{name} {len(splits[name])}\n".encode())
        whole.update(b"".join(splits[name].digests))
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class _Values:
    """A mask's values, ascending, and how many pixels have each. `coloured`: they are packed colours. `palette`: the
    packed colour of each, of a palette mask."""

    coloured: bool
    values: NDArray[np.int32]
    counts: NDArray[np.int64]
    palette: NDArray[np.int32] | None

    def classes(self, legend: Legend) -> list[int | None]:
        """The class of each value; None where it is none."""
        if self.palette is not None and legend.by_colour:
            return legend.by_palette(self.values, self.palette)
        known = legend.colours if self.coloured else legend.values
        return [known.get(value) for value in self.values.tolist()]

    def foreign(self, legend: Legend) -> tuple[NDArray[np.int32], bool]:
        """What stands in the pixels that have no class, at most a million of each value, and whether it is colours."""
        none = np.array([number is None for number in self.classes(legend)])
        by_colour = self.palette is not None and legend.by_colour
        shown = self.palette if by_colour and self.palette is not None else self.values
        return np.repeat(shown[none], self.counts[none].clip(max=10**6)), self.coloured or by_colour


@dataclass
class _Scan(Scan):
    """Of images with their masks. `values`: of each good mask."""

    masks: Source
    legend: Legend | None
    values: list[_Values] = field(default_factory=list, init=False)
    palette: tuple[Colour, ...] | None = field(default=None, init=False)
    other_size: dict[str, str] = field(default_factory=dict, init=False)

    def one(self, i: int) -> None:
        data, head, _ = self.seen(i)
        mask_name = self.masks.name(i)
        try:
            encoded = self.masks.content(i)
            mask = read_mask(encoded, mask_name, bool(self.legend and self.legend.colours), self.limits.pixels)
        except UnreadableImage as error:
            raise UnreadableImage(f"its mask {mask_name!r}: {error}") from error
        if mask.values.shape != (head.height, head.width):
            height, width = mask.values.shape
            self.other_size[self.images.name(i)] = f"{head.height} x {head.width}, its mask {height} x {width}"
            return
        self.keep(i, head, hashlib.sha256(hashlib.sha256(data).digest() + encoded).digest())
        values, counts = mask.counts()
        palette = mask.colours_of(values) if mask.palette is not None else None
        self.values.append(_Values(mask.coloured, values, counts, palette))
        self.palette = self.palette or mask.palette

    def split(self, legend: Legend, name: str) -> tuple[Split, list[str]]:
        """The split, and images left out since no pixel of theirs has a class."""
        pixels, unlabelled = self._counted(legend)
        kept = np.flatnonzero(pixels.sum(1) > 0)
        bare = [self.images.name(self.good[i]) for i in np.flatnonzero(pixels.sum(1) == 0)]
        if not len(kept):
            remedy = "Send masks with labelled pixels, or leave this split out: then 20 % of the others are held out."
            refuse(f"no image of the split {name!r} has a labelled pixel", remedy, split=name)
        good = np.array(self.good, np.int64)
        whole = Split(
            Picked(self.images, good), Masks(Picked(self.masks, good), legend),
            self.shapes, np.array(self.gray, np.bool_), pixels, unlabelled, self.digests,
        )  # fmt: skip
        return (whole if not bare else whole.pick(kept)), bare

    def _counted(self, legend: Legend) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels by class (n, C) and without one (n)."""
        pixels = np.zeros((len(self.good), len(legend.classes)), np.int64)
        unlabelled = np.zeros(len(self.good), np.int64)
        for row, found in enumerate(self.values):
            for number, count in zip(found.classes(legend), found.counts.tolist(), strict=True):
                if number is None:
                    pixels_of, coloured = found.foreign(legend)
                    refuse_values(self.masks.name(self.good[row]), pixels_of, coloured, legend)
                if number < 0:
                    unlabelled[row] += count
                else:
                    pixels[row, number] += count
        return pixels, unlabelled


def _legend(found: Opened, scans: dict[str, _Scan]) -> tuple[Legend, Sequence[str]]:
    """What values mean, and notes on it that no file of classes gave rise to."""
    palette = scans["train"].palette
    masks = [
        (scan.masks.name(i), each) for scan in scans.values() for i, each in zip(scan.good, scan.values, strict=True)
    ]
    if found.legend is not None and found.legend.colours:
        by_colour = _is_by_colour(found.legend, [each for _, each in masks])
        return with_palette(replace(found.legend, by_colour=by_colour), palette), ()
    clash = _clash(masks)
    if found.legend is not None:
        return with_palette(found.legend, palette), clash
    for name, each in masks:
        if each.coloured:
            first = unpacked(int(each.values[0]))
            refuse(f"{name} is coloured ({first} among others) and no file says what the colours mean", mask=name)
    if clash:
        refuse(f"{clash[0].removesuffix('.')}, and no file says what the numbers mean")
    values = {int(value) for _, each in masks for value in each.values}
    if not values:
        check_count(0)
    legend = with_palette(unnamed(values), palette)
    return legend, legend.notes


def _is_by_colour(legend: Legend, masks: Iterable[_Values]) -> bool:
    """Whether palette masks are read by colour: where a number is none of the classes, or its colour is another
    class's. A program that makes palettes (Pillow, writers of GIF) numbers colours in its own order, in every mask
    anew. Palettes of nothing but v -> (v, v, v) say nothing."""
    said = {
        pair
        for each in masks
        if each.palette is not None
        for pair in zip(each.values.tolist(), each.palette.tolist(), strict=True)
    }
    if all(colour == packed((value, value, value)) for value, colour in said):
        return False
    return any(legend.colours.get(colour, legend.values.get(v)) != legend.values.get(v, -1) for v, colour in said)


def _clash(masks: list[tuple[str, _Values]]) -> list[str]:
    """A note on the first number that has one colour in one palette mask and another in the next."""
    known: dict[int, tuple[int, str]] = {}
    for name, each in masks:
        colours = each.palette.tolist() if each.palette is not None else ()
        for value, colour in zip(each.values.tolist(), colours, strict=False):
            first, other = known.setdefault(value, (colour, name))
            if first != colour:
                return [f"Number {value} is {unpacked(first)} in the palette of {other}, {unpacked(colour)} in {name}."]
    return []


def _check_left_out(scans: dict[str, _Scan], limits: Limits) -> None:
    left = _merged([*(scan.corrupt for scan in scans.values()), *(scan.other_size for scan in scans.values())])
    total = sum(len(scan.images) for scan in scans.values())
    if len(left) <= limits.corrupt_fraction * total:
        return
    sizes = sum(len(scan.other_size) for scan in scans.values())
    first = list(left.items())[:10]
    raise InvalidDataset(
        f"Of {total} images, {len(left) - sizes} cannot be read and {sizes} have a mask of another size (the first: "
        f"{first[0][0]!r}, {first[0][1]}).",
        f"Replace or remove them; up to {limits.corrupt_fraction:.1%} would be left out.",
        {
            "images": total, "unreadable": len(left) - sizes, "other_size": sizes,
            "first": [{"image": name, "reason": reason} for name, reason in first],
        },
    )  # fmt: skip


def _notes(scans: dict[str, _Scan], bare: list[str]) -> list[str]:
    corrupt = list(_merged(scan.corrupt for scan in scans.values()))
    sizes = list(_merged(scan.other_size for scan in scans.values()))
    told = (
        (corrupt, "unreadable images were left out"),
        (sizes, "images with a mask of another size were left out"),
        (bare, "images without a labelled pixel were left out"),
    )
    return [f"{len(names)} {what}: {some(names)}." for names, what in told if names]


def _nowhere(legend: Legend, splits: dict[str, Split]) -> list[str]:
    """Classes that no pixel of a split has."""
    return [
        f"No {split} pixel has the class{'es' if len(names) > 1 else ''} {some(names)}: "
        + ("it cannot be learnt." if split == "train" else "left out of the mean IoU.")
        for split in ("train", "test")
        if (names := [legend.classes[i] for i in np.flatnonzero(splits[split].pixels.sum(0) == 0)])
    ]


def _hold_out(train: Split) -> dict[str, Split]:
    kept, held_out = stratify.split(stratify.rarest(train.pixels), HOLD_OUT, HOLD_OUT_SEED)
    if not len(held_out):
        refuse("they leave no image for a test split", "Send more images, or some of them as a test split.")
    return {"train": train.pick(kept), "test": train.pick(held_out)}


def _merged(parts: object) -> dict[str, str]:
    return {name: reason for part in parts for name, reason in part.items()}  # type: ignore[attr-defined]
