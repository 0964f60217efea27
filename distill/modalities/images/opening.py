"""From a `DatasetInput` to splits whose images have been looked at: digests, sizes, unreadable ones, decoded pixels."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.labelled import check_together
from distill.data.limits import DEFAULT, Limits
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.errors import InvalidDataset
from distill.modalities.images.depth import PixelRange, mark, range_notes
from distill.modalities.images.formats import CONVERT
from distill.modalities.images.kind import Items, Opened
from distill.modalities.images.kinds import get as kind
from distill.modalities.images.known import Digests, Known
from distill.modalities.images.labelling import ONE_CLASS
from distill.modalities.images.scan import Scan
from distill.modalities.images.sources import ArrayImages, Head, Picked, Source
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL

SMALL_SIDE = 96
"""Images of one shape and at most this side in pixels are kept decoded in RAM."""


@dataclass(frozen=True, slots=True)
class Split:
    """Readable images with labels (int64, n; `NO_LABEL`: none), (height, width) (n, 2), whether each is grey (n),
    sha256 of each, and decoded pixels, uint8 (n, h, w) or (n, h, w, 3), where they are small and of one shape."""

    images: Source
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    gray: NDArray[np.bool_]
    digests: Digests
    pixels: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, classes: int) -> NDArray[np.int64]:
        """How many samples each class has, (classes,)."""
        return np.bincount(self.labels[self.labels != NO_LABEL], minlength=classes)

    @property
    def unlabelled(self) -> int:
        """How many samples have no label."""
        return int((self.labels == NO_LABEL).sum())

    def pick(self, indices: NDArray[np.int64]) -> Split:
        """Some of the samples, in the order of `indices`."""
        return Split(
            Picked(self.images, indices),
            self.labels[indices],
            self.sizes[indices],
            self.gray[indices],
            self.digests.pick(indices),
            None if self.pixels is None else self.pixels[indices],
        )


@dataclass(frozen=True, slots=True)
class Raw:
    """An opened dataset without torch. `classes`: () where no image has a label. `corrupt`: name -> reason of the
    images left out; `verified`: how many images were decoded and not only had their headers read."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    digest: str
    notes: tuple[str, ...]
    corrupt: dict[str, str]
    verified: int


def open_raw(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Raw:
    """Open, look at every image, leave unreadable ones out (within `limits.corrupt_fraction`), hold out a test split
    where there is none (20 %, stratified, seed 0). Raises `InvalidDataset`; then nothing is left behind."""
    found: Opened = kind(dataset.kind)(dataset, limits, scratch, ONE_CLASS)
    check_together(found.classes)
    seen = looked_at(found.splits, dataset.pixel_range, limits, found.classes)
    splits = seen.splits
    notes = [*found.notes, *seen.corrupt_notes, *_unlabelled_notes(splits), *seen.range_notes]
    if "test" not in splits:
        splits = _hold_out(splits["train"])
        among = "stratified by class" if found.classes else "of images without labels"
        notes.append(f"No test split: {HOLD_OUT:.0%} held out, {among}, seed {HOLD_OUT_SEED}.")
    _check_classes(found.classes, splits["train"])
    if not found.classes:
        _check_counts(splits)
    return Raw(
        dataset.name,
        found.classes,
        splits["train"],
        splits["test"],
        digest(found.classes, splits, dataset.pixel_range),
        tuple(notes),
        seen.corrupt,
        seen.verified,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What looking at every image of some splits found: the readable ones, and as in `Raw` `corrupt` and `verified`;
    with notes on both, and on the range of 16-bit images."""

    splits: dict[str, Split]
    corrupt: dict[str, str]
    verified: int
    corrupt_notes: tuple[str, ...]
    range_notes: tuple[str, ...]


def looked_at(items: Mapping[str, Items], between: PixelRange | None, limits: Limits, called: Sequence[str]) -> Seen:
    """Look at every image. `called`: what the number of a label is called, for notes. Raises `InvalidDataset` for more
    unreadable ones than `limits` allow."""
    for part in items.values():
        part.images.scale(between)
    scans = {name: _Scan(part.images, limits, part.labels) for name, part in items.items()}
    corrupt = {name: reason for scan in scans.values() for name, reason in scan.corrupt.items()}
    total = sum(len(part.labels) for part in items.values())
    _check_corrupt(corrupt, total, limits)
    return Seen(
        {name: scan.split() for name, scan in scans.items()},
        corrupt,
        sum(scan.verified for scan in scans.values()),
        tuple(_corrupt_notes(corrupt, scans, called)),
        tuple(range_notes(scans, between, total)),
    )


def digest(classes: tuple[str, ...], splits: dict[str, Split], between: PixelRange | None = None) -> str:
    """sha256, hex, over class names and, per split in order, every label and every image's content; and the range in
    which 16-bit grey is read, where one was given."""
    whole = hashlib.sha256(b"retort dataset 1\n" + json.dumps(classes).encode())
    whole.update(mark(between))
    for name in sorted(splits):
        split = splits[name]
        whole.update(f"\n{name} {len(split)}\n".encode())
        whole.update(split.labels.astype("<i8").tobytes())
        whole.update(split.digests.joined())
    return whole.hexdigest()


@dataclass
class _Scan(Scan):
    """Of images with one label each, or none. `lost_of`: label -> unreadable images."""

    labels: NDArray[np.int64]
    lost_of: Counter[int] = field(default_factory=Counter, init=False)

    def look(self) -> None:
        self._pixels: list[NDArray[np.uint8]] | None = []
        self._known = self.images.known()
        if self._known is not None:
            self._indexed(self._known)
        elif isinstance(self.images, ArrayImages):
            self._arrays(self.images)
        else:
            super().look()

    def _arrays(self, images: ArrayImages) -> None:
        n, height, width = images.pixels.shape[:3]
        self.digests = [hashlib.sha256(images.content(i)).digest() for i in range(n)]
        self.sizes, self.gray = [(height, width)] * n, [images.pixels.ndim == 3] * n
        self.good, self.verified, self._pixels = list(range(n)), n, None

    def _indexed(self, known: Known) -> None:
        for i in np.flatnonzero(~known.readable).tolist():
            self.corrupt[self.images.name(i)] = str(known.reasons[i])
            self.lost(i)
        self.peaks = known.peaks[known.peaks >= 0].tolist()
        self.verified = int(known.decoded.sum())

    def one(self, i: int) -> None:
        data, head, decoded = self.seen(i)
        if decoded is None:
            self._pixels = None
        else:
            self._keep(np.asarray(decoded), head)
        self.keep(i, head, hashlib.sha256(data).digest())

    def lost(self, i: int) -> None:
        self.lost_of[int(self.labels[i])] += 1

    def _keep(self, pixels: NDArray[np.uint8], head: Head) -> None:
        """Keep decoded pixels as long as all images are small and of one size."""
        if self._pixels is None:
            return
        uniform = not self.sizes or self.sizes[0] == (head.height, head.width)
        bytes_ = 3 * head.height * head.width * len(self.images)
        if uniform and max(head.height, head.width) <= SMALL_SIDE and bytes_ <= self.limits.cache_bytes:
            self._pixels.append(pixels)
        else:
            self._pixels = None

    def split(self) -> Split:
        if self._known is not None:
            return self._split_of(self._known)
        good = np.array(self.good, np.int64)
        every = len(good) == len(self.labels)
        return Split(
            self.images if every else Picked(self.images, good),
            self.labels if every else self.labels[good],
            self.shapes,
            np.array(self.gray, np.bool_),
            Digests.of(self.digests),
            self._stacked(),
        )

    def _split_of(self, known: Known) -> Split:
        good = np.flatnonzero(known.readable)
        if len(good) == len(self.labels):
            return Split(self.images, self.labels, known.sizes, known.gray, Digests(known.digests), None)
        kept = known.pick(good)
        images = Picked(self.images, good)
        return Split(images, self.labels[good], kept.sizes, kept.gray, Digests(kept.digests), None)

    def _stacked(self) -> NDArray[np.uint8] | None:
        if isinstance(self.images, ArrayImages):
            return self.images.pixels
        if not self._pixels:
            return None
        if all(self.gray):
            return np.stack(self._pixels)
        return np.stack([p if p.ndim == 3 else np.repeat(p[:, :, None], 3, axis=2) for p in self._pixels])


def _hold_out(train: Split) -> dict[str, Split]:
    """Of the labelled images alone, where there are any: a test needs labels."""
    labelled = np.flatnonzero(train.labels != NO_LABEL)
    judged = labelled if len(labelled) else np.arange(len(train))
    _, held = stratify.split(train.labels[judged], HOLD_OUT, HOLD_OUT_SEED)
    held_out = judged[held]
    kept = np.setdiff1d(np.arange(len(train)), held_out, assume_unique=True)
    return {"train": train.pick(kept), "test": train.pick(held_out)}


def _check_corrupt(corrupt: dict[str, str], total: int, limits: Limits) -> None:
    if len(corrupt) <= limits.corrupt_fraction * total:
        return
    first = list(corrupt.items())[:10]
    convert = f" {CONVERT}" if any("convert it" in reason for _, reason in first) else ""
    raise InvalidDataset(
        f"{len(corrupt)} of {total} images cannot be read (the first: {first[0][0]!r}, {first[0][1]}).",
        f"Replace or remove them; up to {limits.corrupt_fraction:.1%} would be left out.{convert}",
        {"unreadable": len(corrupt), "images": total, "first": [{"image": n, "reason": r} for n, r in first]},
    )


def _corrupt_notes(corrupt: dict[str, str], scans: Mapping[str, _Scan], classes: Sequence[str]) -> list[str]:
    """How many images were left out, the first of them, and how many each class lost of how many."""
    if not corrupt:
        return []
    names = ", ".join(list(corrupt)[:5]) + (", ..." if len(corrupt) > 5 else "")
    lost = [
        f"{count} of {int((scan.labels == label).sum())} {_of_class(label, classes)} in {split}"
        for split, scan in scans.items()
        for label, count in sorted(scan.lost_of.items())
    ]
    more = f" and of {len(lost) - 5} more classes" if len(lost) > 5 else ""
    return [f"{len(corrupt)} unreadable images were left out: {names} ({', '.join(lost[:5])}{more})."]


def _of_class(label: int, classes: Sequence[str]) -> str:
    return "without a label" if label == NO_LABEL else f"of class {classes[label]!r}"


def _unlabelled_notes(splits: Mapping[str, Split]) -> list[str]:
    """How many images have labels and how many have none, where some have none."""
    labels = np.concatenate([split.labels for split in splits.values()])
    without = int((labels == NO_LABEL).sum())
    if not without:
        return []
    if without == len(labels):
        return [f"None of the {without:,} images has a label."]
    return [f"{len(labels) - without:,} images have labels, {without:,} training images have none."]


def _check_counts(splits: Mapping[str, Split]) -> None:
    """Raise `InvalidDataset` where a split has no image: of images without labels one cannot be held out of one."""
    empty = [name for name, split in splits.items() if not len(split)]
    if empty:
        raise InvalidDataset(
            f"The {empty[0]} split has no images ({sum(map(len, splits.values()))} in all).", "Send more images.",
            {"split": empty[0]},
        )  # fmt: skip


def _check_classes(classes: tuple[str, ...], train: Split) -> None:
    counts = train.counts(len(classes))
    empty = [classes[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise InvalidDataset(
            f"{len(empty)} classes have no readable training images ({', '.join(empty[:3])}).",
            "Add images to them, or remove the classes.",
            {"classes": empty[:20]},
        )
