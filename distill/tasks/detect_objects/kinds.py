"""A dataset's files as images with boxes, before any image has been looked at. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.data.files import paths_of
from distill.data.labelled import held_out
from distill.data.limits import Limits
from distill.data.split_names import TEST, TRAIN, VALIDATION
from distill.modalities.images.archives.members import Members, members_of
from distill.modalities.images.sources import Joined
from distill.tasks.detect_objects import coco, table, voc, yolo
from distill.tasks.detect_objects.box_columns import Told
from distill.tasks.detect_objects.objects import has_objects, open_objects
from distill.tasks.detect_objects.pictures import has_others
from distill.tasks.detect_objects.written import Part, Reading, Written, refuse
from distill.tasks.inspection import Likeness
from distill.types import DatasetInput

_USED = (TRAIN, VALIDATION, TEST)
FILES = frozenset({"archive", "folder"})
REMEDY = (
    "Send COCO's JSON, Pascal VOC's XML, YOLO's text files with data.yaml, or a CSV with filename, class, xmin, ymin, "
    "xmax, ymax, in one archive with the images; or parquet with `image` and `objects`."
)


@dataclass(frozen=True, slots=True)
class _Read:
    """`read`: its last argument, what the registration says of the numbers, is for formats that do not say it
    themselves (`open`)."""

    title: str
    fits: Callable[[Members], bool]
    read: Callable[[Members, Limits, Told], Reading]
    open: bool = False


FORMATS = (
    _Read("COCO JSON", coco.fits, lambda members, limits, _: coco.read(members, limits)),
    _Read("Pascal VOC XML", voc.fits, lambda members, *_: voc.read(members)),
    _Read("YOLO text files", yolo.fits, lambda members, *_: yolo.read(members)),
    _Read("a table", table.fits, table.read, open=True),
)
"""In the order in which they count, where an archive has several: the first says most of each box."""


def open_boxes(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Reading:
    """Splits `train` and maybe `validation`, `test`, opened without extracting. Raises `InvalidDataset`."""
    paths, told = paths_of(dataset), Told.read(dataset.box_format)
    if dataset.kind == "parquet":
        found = {role: open_objects(path, role, limits, scratch, told) for role, path in paths.items()}
    elif dataset.kind in FILES:
        found = {role: _read(members_of(path, limits, scratch), limits, told) for role, path in paths.items()}
    else:
        refuse(f"a dataset of kind {dataset.kind!r} has no images with boxes", REMEDY)
    return _chosen(found["all"]) if "all" in found else _of_roles(found)


def likeness(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Likeness:
    """How far the files are laid out as boxes are: `BESIDE` where there are masks or class folders too. Raises
    `InvalidDataset` for files that cannot be opened."""
    paths = paths_of(dataset)
    if dataset.kind == "parquet":
        return Likeness.SURE if all(map(has_objects, paths.values())) else Likeness.NO
    if dataset.kind not in FILES:
        return Likeness.NO
    archives = [members_of(path, limits, scratch) for path in paths.values()]
    if not all(map(_fitting, archives)):
        return Likeness.NO
    return Likeness.BESIDE if any(map(has_others, archives)) else Likeness.SURE


def _fitting(members: Members) -> list[_Read]:
    return [each for each in FORMATS if each.fits(members)]


def _read(members: Members, limits: Limits, told: Told) -> Reading:
    fitting = _fitting(members)
    if not fitting:
        refuse("no file says where objects are", REMEDY)
    first, *others = fitting
    if told.way is not None and not first.open:
        refuse(f"{first.title} itself says what the numbers of its boxes are", "Register it without box_format.")
    found = first.read(members, limits, told)
    unused = [f"Boxes were read from {first.title}, not from {each.title}, which is there too." for each in others]
    return replace(found, notes=(*unused, *found.notes))


def _chosen(found: Reading) -> Reading:
    """The splits that are used: without any, all images train; `validation` is the test split where there is no other.
    Of a dataset with all three, validation stays what it is."""
    parts = dict(found.parts)
    if TRAIN not in parts and "" in parts:
        parts[TRAIN] = parts.pop("")
    notes = [
        f"Not used: {len(parts[name].images):,} images of {_called(name)}."
        for name in sorted(parts.keys() - set(_USED))
    ]
    if TRAIN not in parts:
        splits = sorted(filter(None, parts))
        what = " ".join([f"no image is of the training split, only of {', '.join(splits)}.", *found.notes])
        refuse(what.removesuffix("."), "Name one split train, and give it boxes.", splits=splits)
    used = held_out(parts)
    if used.get(VALIDATION) == TEST:
        notes.append("The split 'validation' is the test split: there is no other.")
        parts[TEST] = parts.pop(VALIDATION)
    return replace(found, parts={name: parts[name] for name in _USED if name in parts}, notes=(*found.notes, *notes))


def _called(split: str) -> str:
    return f"the split {split!r}" if split else "no split"


def _of_roles(found: Mapping[str, Reading]) -> Reading:
    """One split a file, whatever it says itself; classes by name, those of the training file first."""
    classes = tuple(dict.fromkeys(name for role in (TRAIN, TEST) if role in found for name in found[role].classes))
    if len({reading.form for reading in found.values()}) > 1:
        refuse("training and test file are of different formats", "Send both in one format.")
    return Reading(
        {role: _whole(reading, classes) for role, reading in found.items()},
        classes,
        found[TRAIN].form,
        tuple(dict.fromkeys(note for reading in found.values() for note in reading.notes)),
        tuple(each for reading in found.values() for each in reading.left_out),
    )


def _whole(found: Reading, classes: Sequence[str]) -> Part:
    """All images of a reading, with the numbers of `classes`."""
    numbers = np.array([classes.index(name) for name in found.classes], np.int64)
    first, *others = found.parts.values()
    for part in others:
        first = Part(Joined(first.images, part.images), _together(first.written, part.written))
    labels = numbers[first.written.labels] if len(numbers) else first.written.labels
    return Part(first.images, replace(first.written, labels=labels))


def _together(one: Written, two: Written) -> Written:
    shifted = replace(two, image=two.image + len(one.sizes))
    return Written(
        *(np.concatenate([getattr(each, name) for each in (one, shifted)]) for name in Written.__slots__)
    )  # fmt: skip
