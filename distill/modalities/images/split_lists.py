"""Lists of a split's images, as PASCAL VOC's `ImageSets` has them. Torch-free."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from distill.data.split_names import TEST, TRAIN, UNLABELLED, VALIDATION, split_of
from distill.modalities.images.paths import File

Lists = dict[str, list[str]]
HELD_OUT_FIRST = (TEST, VALIDATION, TRAIN, UNLABELLED)
"""In which order lists are read: an image that several of them name is held out (**our choice**)."""


def read_lists(files: Iterable[File], read: Callable[[File], bytes], *below: str) -> Lists:
    """Split -> names, composed (NFC), of the lists in these folders of `ImageSets` (in any case; "": in itself): the
    first word a line. `trainval` is the training split where there is no `train`."""
    there = _found(files, [["imagesets", folder] if folder else ["imagesets"] for folder in below])
    found = {split: read(file).decode("utf-8-sig", "replace").splitlines() for split, file in there.items()}
    names = {split: [line.split()[0] for line in lines if line.strip()] for split, lines in found.items()}
    return {split: [unicodedata.normalize("NFC", name) for name in each] for split, each in names.items()}


def _found(files: Iterable[File], wanted: Sequence[list[str]]) -> dict[str, File]:
    there: dict[str, File] = {}
    for file in files:
        above = [folder.lower() for folder in file.parts[:-1]]
        name = PurePosixPath(file.parts[-1].lower())
        if any(above[-len(path) :] == path for path in wanted) and name.suffix == ".txt" and file.position >= 0:
            split = "train" if name.stem == "trainval" else split_of(name.stem)
            if split and (name.stem != "trainval" or split not in there):
                there[split] = file
    return there
