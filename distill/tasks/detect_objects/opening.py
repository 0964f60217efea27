"""From a `DatasetInput` to splits whose images and boxes have been looked at. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.labelled import check_together, class_notes
from distill.data.limits import DEFAULT, Limits
from distill.data.split_names import TEST, TRAIN, VALIDATION
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.modalities.images.depth import PixelRange, mark, range_notes
from distill.modalities.images.scan import Scan
from distill.modalities.images.sources import Joined, Picked, Source
from distill.tasks.detect_objects.boxes import Boxes, joined
from distill.tasks.detect_objects.kinds import open_boxes
from distill.tasks.detect_objects.orientation import UPRIGHT, orientation_of, to_stored, turned
from distill.tasks.detect_objects.settling import Faults, Settled, settle
from distill.tasks.detect_objects.written import LeftOut, Reading, Written, refuse, some
from distill.types import DatasetInput


@dataclass(frozen=True, slots=True)
class Split:
    """Readable images: (height, width) (n, 2), whether each is grey (n), sha256 of each, and their boxes."""

    images: Source
    objects: Settled
    sizes: NDArray[np.int64]
    gray: NDArray[np.bool_]
    digests: list[bytes]

    def __len__(self) -> int:
        return len(self.sizes)

    def boxes(self, i: int) -> Boxes:
        """Of image i, in its pixels."""
        return self.objects.of(i)

    def learnable(self, classes: int) -> NDArray[np.int64]:
        """(n, C): boxes of each class that each image has, ignored ones left out."""
        return self.objects.counts(classes, ~self.objects.boxes.ignored)

    def pick(self, indices: NDArray[np.int64]) -> Split:
        """Some of the images, in the order of `indices`."""
        return Split(
            Picked(self.images, indices), self.objects.pick(indices), self.sizes[indices], self.gray[indices],
            [self.digests[i] for i in indices],
        )  # fmt: skip

    def followed_by(self, other: Split) -> Split:
        """The images of both."""
        starts = np.concatenate([self.objects.starts, self.objects.starts[-1] + other.objects.starts[1:]])
        return Split(
            Joined(self.images, other.images),
            Settled(joined([self.objects.boxes, other.objects.boxes]), starts),
            np.concatenate([self.sizes, other.sizes]), np.concatenate([self.gray, other.gray]),
            [*self.digests, *other.digests],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """An opened dataset without torch. `validation`: None where the dataset names none beside a test split. `corrupt`:
    image -> why it was left out; `faults`: what was the matter with boxes, of which there were `boxes` in the files;
    `verified`: how many images were decoded and not only had their headers read."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split
    digest: str
    notes: tuple[str, ...]
    corrupt: dict[str, str]
    faults: Faults
    boxes: int
    verified: int

    @property
    def splits(self) -> dict[str, Split]:
        """By name, those that there are."""
        named = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        return {name: split for name, split in named.items() if split is not None}


def open_raw(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Raw:
    """Open, look at every image and box, leave out what cannot be used (see `Faults` and `LeftOut`: named in the notes,
    refused where it is too much), hold out a test split where there is none (20 %, seed 0, stratified by
    `stratify.rarest` of the boxes).

    Raises `InvalidDataset`.
    """
    found = open_boxes(dataset, limits, scratch)
    check_together(found.classes)
    _check_classes(found.classes, limits)
    for part in found.parts.values():
        part.images.scale(dataset.pixel_range)
    scans = {name: _Scan(part.images, limits, part.written) for name, part in found.parts.items()}
    images = sum(len(part.images) for part in found.parts.values())
    left_out = [*found.left_out, *_of_images(scans, images)]
    notes = [*found.notes, *(note for each in left_out for note in each.note(limits.corrupt_fraction))]
    splits, faults, said = _settled(found, scans)
    boxes = sum(len(part.written) for part in found.parts.values())
    notes += [*said, *(note for each in faults.values() for note in each.left_out(boxes).note(limits.corrupt_fraction))]
    notes += _beyond(faults, boxes)
    notes += range_notes(scans, dataset.pixel_range, images)
    _check_boxes(splits, found.classes)
    if TEST not in splits:
        splits |= _hold_out(splits[TRAIN], len(found.classes))
        notes.append(f"No test split: {HOLD_OUT:.0%} held out, stratified by rarest class, seed {HOLD_OUT_SEED}.")
    notes += [*_backgrounds(splits), *_nowhere(splits, found.classes), *class_notes(found.classes)]
    return Raw(
        dataset.name, found.classes, splits[TRAIN], splits.get(VALIDATION), splits[TEST],
        digest(found.classes, splits, dataset.pixel_range), tuple(notes),
        reduce(lambda a, b: a | b, (scan.corrupt for scan in scans.values())), faults, boxes,
        sum(scan.verified for scan in scans.values()),
    )  # fmt: skip


def digest(classes: tuple[str, ...], splits: Mapping[str, Split], between: PixelRange | None = None) -> str:
    """sha256, hex, over class names and, per split in order, every image's content and boxes; and the range in which
    16-bit grey is read, where one was given."""
    whole = hashlib.sha256(b"retort boxes 1\n" + json.dumps(classes).encode())
    whole.update(mark(between))
    for name in sorted(splits):
        split, boxes = splits[name], splits[name].objects.boxes
        whole.update(f"\n{name} {len(split)}\n".encode())
        whole.update(b"".join(split.digests))
        whole.update(split.objects.starts.astype("<i8").tobytes() + boxes.classes.astype("<i8").tobytes())
        whole.update(boxes.corners.astype("<f4").tobytes() + boxes.areas.astype("<f4").tobytes())
        whole.update(boxes.ignored.tobytes() + boxes.crowd.tobytes())
    return whole.hexdigest()


@dataclass
class _Scan(Scan):
    """Of images with boxes. `found`: those of all images; `other_size`: images of another size than their annotations
    state. Of images that EXIF turns, `turned`: those whose boxes are of the turned image, `doubtful`: those of which
    nothing tells; `orientations`: of each kept image, EXIF's where its boxes are to be turned back, else 1."""

    found: Written
    other_size: list[str] = field(default_factory=list, init=False)
    turned: list[str] = field(default_factory=list, init=False)
    doubtful: list[str] = field(default_factory=list, init=False)
    orientations: list[int] = field(default_factory=list, init=False)

    def one(self, i: int) -> None:
        data, head, _ = self.seen(i)
        name, stored = self.images.name(i), (head.height, head.width)
        height, width = self.found.sizes[i].tolist()
        orientation = orientation_of(data) if self._has_boxes[i] else UPRIGHT
        found = turned(orientation, stored, (height, width))
        if found:
            self.turned.append(name)
        elif height and width and stored != (height, width):
            self.other_size.append(f"{name} ({head.width} x {head.height}, stated {width} x {height})")
        if found is None:
            self.doubtful.append(name)
        self.orientations.append(orientation if found else UPRIGHT)
        self.keep(i, head, hashlib.sha256(data).digest())

    @cached_property
    def _has_boxes(self) -> NDArray[np.bool_]:
        return np.bincount(self.found.image, minlength=len(self.found.sizes)) > 0

    @property
    def annotated(self) -> NDArray[np.int64]:
        """(n, 2): height and width of the kept images as their annotations have them."""
        aside = np.array(self.orientations, np.int64)[:, None] != UPRIGHT
        return np.where(aside, self.shapes[:, ::-1], self.shapes)

    def stored(self, objects: Settled) -> Settled:
        """Boxes in pixels of the images as annotations have them, in those of the stored images."""
        image = np.repeat(np.arange(len(objects)), np.diff(objects.starts))
        corners = to_stored(objects.boxes.corners, self.shapes[image], np.array(self.orientations, np.int64)[image])
        return replace(objects, boxes=replace(objects.boxes, corners=corners))

    @property
    def written(self) -> Written:
        """The boxes of the images that can be read, which are numbered anew."""
        whole = self.found
        place = np.full(len(whole.sizes), -1, np.int64)
        place[self.good] = np.arange(len(self.good))
        kept = place[whole.image] >= 0
        return Written(
            place[whole.image[kept]], whole.corners[kept], whole.labels[kept], whole.ignored[kept], whole.crowd[kept],
            whole.areas[kept], whole.sizes[self.good],
        )  # fmt: skip

    def split(self, objects: Settled) -> Split:
        images = Picked(self.images, np.array(self.good, np.int64))
        return Split(images, objects, self.shapes, np.array(self.gray, np.bool_), self.digests)

    def name(self, i: int) -> str:
        return self.images.name(self.good[i])


def _settled(found: Reading, scans: Mapping[str, _Scan]) -> tuple[dict[str, Split], Faults, list[str]]:
    settled, faults, notes = settle([(scan.written, scan.annotated, scan.name) for scan in scans.values()], found.form)
    splits = {name: scan.split(scan.stored(each)) for (name, scan), each in zip(scans.items(), settled, strict=True)}
    return splits, faults, notes


def _of_images(scans: Mapping[str, _Scan], images: int) -> list[LeftOut]:
    corrupt = [f"{name} ({why})" for scan in scans.values() for name, why in scan.corrupt.items()]
    other = [name for scan in scans.values() for name in scan.other_size]
    turned_ones = [name for scan in scans.values() for name in scan.turned]
    doubtful = [name for scan in scans.values() for name in scan.doubtful]
    return [
        LeftOut.of("images cannot be read and were left out", corrupt, images, "Replace or remove them."),
        LeftOut.of(
            "images have another size than their annotations state; boxes were read as they stand", other, images
        ),
        LeftOut.of(
            "images are turned by EXIF, and their annotations state the turned size: their boxes were turned to the "
            "pixels as they are stored, which training sees",
            turned_ones,
            images,
        ),
        LeftOut.of(
            "images are turned by EXIF, and nothing tells whether their boxes are of the turned image: they were read "
            "as of the stored one. Look at the thumbnails; where boxes miss their objects, write the images turned "
            "(Pillow: ImageOps.exif_transpose) and register them again",
            doubtful,
            images,
        ),
    ]


def _check_classes(classes: tuple[str, ...], limits: Limits) -> None:
    if not classes:
        refuse("there is no class", "Send images with boxes, each with its class.")
    if len(classes) > limits.classes:
        refuse(f"there are {len(classes):,} classes, more than {limits.classes:,}", "Is the column of classes right?")


def _check_boxes(splits: Mapping[str, Split], classes: tuple[str, ...]) -> None:
    """Raise `InvalidDataset` for a split without a box to learn or to be judged by."""
    for name, split in splits.items():
        if not split.learnable(len(classes)).sum():
            remedy = "Send images with boxes" + (", or leave this split out." if name != TRAIN else ".")
            refuse(f"the {len(split):,} images of the split {name!r} have no box that counts", remedy, split=name)


def _beyond(faults: Faults, boxes: int) -> list[str]:
    """A note where over a tenth of the boxes (**our choice**) end beyond their images."""
    if faults["clipped"].count <= boxes / 10:
        return []
    return [
        "So many boxes end beyond their images that their numbers may be of another form (x1 y1 x2 y2 where x y width "
        "height is read), or the images of another size than the annotated ones: look at the thumbnails."
    ]


def _hold_out(train: Split, classes: int) -> dict[str, Split]:
    kept, held_out = stratify.split(stratify.rarest(train.learnable(classes)), HOLD_OUT, HOLD_OUT_SEED)
    if not len(held_out) or not train.pick(held_out).learnable(classes).sum():
        refuse("they leave no image with boxes for a test split", "Send more images, or some of them as a test split.")
    return {TRAIN: train.pick(kept), TEST: train.pick(held_out)}


def _backgrounds(splits: Mapping[str, Split]) -> list[str]:
    counts = {name: int((np.diff(split.objects.starts) == 0).sum()) for name, split in splits.items()}
    shown = ", ".join(f"{count:,} in {name}" for name, count in counts.items() if count)
    return [f"Images without a box are kept as background: {shown}."] if shown else []


def _nowhere(splits: Mapping[str, Split], classes: tuple[str, ...]) -> list[str]:
    """Classes of which a split has no box that counts."""
    missing = {
        name: [classes[i] for i in np.flatnonzero(splits[name].learnable(len(classes)).sum(0) == 0)]
        for name in (TRAIN, TEST)
    }
    ends = {TRAIN: "cannot be learnt", TEST: "left out of the mean AP"}
    return [
        f"No {name} image has a box of {len(names)} of {len(classes)} classes ({ends[name]}): {some(names)}."
        for name, names in missing.items()
        if names
    ]
