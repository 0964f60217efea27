"""From file paths to classes and splits: the ImageFolder layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from distill.data.limits import Limits
from distill.data.members import Parts
from distill.data.split_names import TEST, TRAIN, VALIDATION, split_of
from distill.errors import InvalidDataset
from distill.modalities.images.sources import EXTENSIONS

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
REMEDY = "Put each class's images in a folder of its own: train/<class>/... and test/<class>/..., or <class>/..."
SPLIT_OR_CLASS = (
    "If they are classes, put all of them below train/ (train/<class>/...), and test images below test/; "
    "if not, put class folders into the split's folder and leave the others out."
)


@dataclass(frozen=True, slots=True)
class File:
    """A file's path, and the position by which its source knows it."""

    parts: Parts
    position: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Class names in label order; per split the files with their labels, in (label, path) order."""

    classes: tuple[str, ...]
    splits: dict[str, list[tuple[File, int]]]
    notes: tuple[str, ...]


def arrange(files: Iterable[File], folders: Iterable[Parts], limits: Limits) -> Layout:
    """Find classes and splits. One folder around everything is looked through; hidden files and files that are no
    images by their name are left out and counted. Raises `InvalidDataset` for fewer than 2 classes or an empty one."""
    kept, notes = _images(files)
    dirs = {parts for parts in folders if not is_junk(parts)}
    kept, dirs = _without_top(kept, dirs)
    groups, more = _splits(kept, dirs)
    classes = _classes(groups["train"], limits)
    splits = {split: _labelled(split, group, classes) for split, group in groups.items()}
    return Layout(classes, splits, (*notes, *more))


def is_junk(parts: Parts) -> bool:
    """Hidden files, and what archivers add."""
    return any(part.startswith(".") or part in _JUNK for part in parts)


def _images(files: Iterable[File]) -> tuple[list[File], list[str]]:
    kept, others = [], 0
    for file in files:
        if is_junk(file.parts):
            continue
        if PurePosixPath(file.parts[-1]).suffix.lower() in EXTENSIONS:
            kept.append(file)
        else:
            others += 1
    return kept, [f"{others} files that are no images by their name were left out."] if others else []


def _without_top(files: list[File], folders: set[Parts]) -> tuple[list[File], set[Parts]]:
    tops = {file.parts[0] for file in files} | {parts[0] for parts in folders if parts}
    if len(tops) != 1 or not files or min(len(file.parts) for file in files) < 3:
        return files, folders
    return [File(file.parts[1:], file.position) for file in files], {parts[1:] for parts in folders}


@dataclass(slots=True)
class _Group:
    files: list[File]
    folders: set[Parts]


def _splits(files: list[File], folders: set[Parts]) -> tuple[dict[str, _Group], list[str]]:
    firsts = {parts[0] for parts in (*(file.parts for file in files), *folders) if parts}
    train = _named(firsts, TRAIN)
    if train is None:
        return {"train": _Group(files, folders)}, []
    if _is_class(train, firsts, files):
        return {"train": _Group(files, folders)}, [f"The folder {train!r} was read as a class, not as a split."]
    test, validation = _named(firsts, TEST), _named(firsts, VALIDATION)
    held_out = test or validation
    chosen = {"train": train} | ({"test": held_out} if held_out else {})
    groups = {split: _below(name, files, folders) for split, name in chosen.items()}
    ignored = sorted(firsts - set(chosen.values()))
    return groups, [f"Not used: the folder {name!r}." for name in ignored[:5]]


def _is_class(train: str, firsts: set[str], files: list[File]) -> bool:
    """Whether a folder named as the training split is a class like its neighbours (car, plane, train): it has no class
    folders, at least two neighbours hold images, and none is named after a split (**our choice** of what is beyond
    doubt). Raises `InvalidDataset` where it is in doubt."""
    neighbours = sorted({file.parts[0] for file in files if len(file.parts) == 2 and not split_of(file.parts[0])})
    inner = {file.parts[1] for file in files if file.parts[0] == train and len(file.parts) > 2}
    if not neighbours or len(inner) > 1:
        return False
    if not inner and len(neighbours) > 1 and sum(split_of(first) is not None for first in firsts) == 1:
        return True
    raise InvalidDataset(
        f"Whether {train!r} is a split or a class is in doubt: images lie directly in "
        f"{', '.join(map(repr, neighbours[:3]))} beside it.",
        SPLIT_OR_CLASS,
        {"folders": sorted(firsts)[:20]},
    )


def _named(firsts: set[str], names: frozenset[str]) -> str | None:
    return next((first for first in sorted(firsts) if first.lower() in names), None)


def _below(top: str, files: list[File], folders: set[Parts]) -> _Group:
    return _Group(
        [File(file.parts[1:], file.position) for file in files if file.parts[0] == top and len(file.parts) > 1],
        {parts[1:] for parts in folders if len(parts) > 1 and parts[0] == top},
    )


def _classes(group: _Group, limits: Limits) -> tuple[str, ...]:
    filled = {file.parts[0] for file in group.files if len(file.parts) > 1}
    if not filled:
        raise InvalidDataset("The dataset has no class folders with images.", REMEDY, {"images": len(group.files)})
    empty = sorted({parts[0] for parts in group.folders if parts} - filled)
    if empty:
        raise InvalidDataset(
            f"{len(empty)} class folders hold no images ({', '.join(empty[:3])}).",
            "Remove them or fill them.",
            {"classes": empty[:20]},
        )
    if len(filled) < 2:
        raise InvalidDataset(f"The dataset has only one class, {min(filled)!r}.", REMEDY, {"classes": sorted(filled)})
    if len(filled) > limits.classes:
        raise InvalidDataset(f"The dataset has {len(filled)} classes, more than {limits.classes}.", REMEDY)
    return tuple(sorted(filled))


def _labelled(split: str, group: _Group, classes: tuple[str, ...]) -> list[tuple[File, int]]:
    label = {name: i for i, name in enumerate(classes)}
    inside = [file for file in group.files if len(file.parts) > 1]
    foreign = sorted({file.parts[0] for file in inside} - set(label))
    if foreign:
        raise InvalidDataset(
            f"Split {split!r} has classes that the training split lacks ({', '.join(foreign[:3])}).",
            "Give every split the same class folders.",
            {"classes": foreign[:20], "split": split},
        )
    if not inside:
        raise InvalidDataset(f"Split {split!r} holds no images in class folders.", REMEDY, {"split": split})
    return sorted(((file, label[file.parts[0]]) for file in inside), key=lambda item: (item[1], item[0].parts))
