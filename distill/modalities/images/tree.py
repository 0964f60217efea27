"""From file paths to classes and splits: the ImageFolder layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from distill.data.labelled import class_notes
from distill.data.limits import Limits
from distill.data.members import Parts
from distill.data.split_names import TRAIN, UNLABELLED
from distill.errors import InvalidDataset
from distill.modalities.images.paths import File, is_junk
from distill.modalities.images.split_folders import NO_CLASS, REMEDY, Group, divided, is_flat, without_top
from distill.unlabelled import NO_LABEL

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """Class names in label order, () where no file has a class; per split the files with their labels, in (label, path)
    order. The split `unlabelled` has files without one."""

    classes: tuple[str, ...]
    splits: dict[str, list[tuple[File, int]]]
    notes: tuple[str, ...]


def arrange(files: Iterable[File], folders: Iterable[Parts], limits: Limits) -> Layout:
    """Find classes and splits. Folders around everything are looked through; hidden files and files that are no images
    are left out and counted by class. Images without class folders are a dataset without labels. Raises
    `InvalidDataset` for fewer than 2 classes or an empty one."""
    plain = [file for file in files if not is_junk(file.parts)]
    dirs = {parts for parts in folders if not is_junk(parts)}
    # A zip need not list its folders: one whose files are no images is empty all the same.
    dirs |= {file.parts[:-1] for file in plain if len(file.parts) > 1}
    groups, notes = divided(without_top(Group(plain, dirs)))
    unlabelled = groups.pop(UNLABELLED, None)
    tables = any(file.is_table and not file.image for file in plain)
    if is_flat(groups[TRAIN], among=unlabelled is not None, tables=tables):
        return _without_classes(groups, unlabelled, (*_others(plain, groups), *notes))
    classes = _classes(groups["train"], limits)
    groups = {split: group if split == "train" else _inner(group, classes) for split, group in groups.items()}
    splits = {split: _labelled(split, group, classes) for split, group in groups.items()}
    left_out = [note for split, group in groups.items() for note in _outside(split, group)]
    if unlabelled is not None:
        splits[UNLABELLED] = _plain(unlabelled.images)
    return Layout(classes, splits, (*_others(plain, groups), *notes, *left_out, *class_notes(classes)))


def flat(files: Iterable[File]) -> Layout:
    """All images, in whatever folders, as images without labels. Raises `InvalidDataset` where there are none."""
    plain = [file for file in files if not is_junk(file.parts)]
    images = [file for file in plain if file.image]
    if not images:
        raise InvalidDataset("The unlabelled part holds no images.", "Send images, in folders or not.", {})
    folders = {file.parts[0] for file in images if len(file.parts) > 1}
    read = [f"The {len(folders)} folders of the unlabelled part were not read as classes."] if len(folders) > 1 else []
    return Layout((), {UNLABELLED: _plain(images)}, (*_others(plain, {}), *read))


def _without_classes(groups: Mapping[str, Group], unlabelled: Group | None, notes: Sequence[str]) -> Layout:
    """Images of which none has a label: all of `train`, and what is called unlabelled."""
    train = groups[TRAIN]
    images = [*train.images, *(unlabelled.images if unlabelled else ())]
    splits = {UNLABELLED: _plain(images)}
    for split in groups.keys() - {TRAIN}:
        if {file.parts[0] for file in without_top(groups[split]).images if len(file.parts) > 1}:
            raise InvalidDataset(
                f"Split {split!r} has class folders, and the training images have no classes.",
                "Give the training images class folders; or register the images with classes by themselves and name "
                "them as a job's `probe`.",
                {"split": split},
            )
        splits[split] = _plain(groups[split].images)
    return Layout((), splits, tuple(notes))


def _plain(images: Iterable[File]) -> list[tuple[File, int]]:
    return [(file, NO_LABEL) for file in sorted(images, key=lambda file: file.parts)]


def _inner(group: Group, classes: Sequence[str]) -> Group:
    """Through a folder around everything of a split (`seg_test/seg_test/...`), unless it is a class."""
    inner = without_top(group)
    return group if {file.parts[0] for file in group.images} & set(classes) else inner


def _others(files: Sequence[File], groups: Mapping[str, Group]) -> list[str]:
    """What a report says of files that are no images: how many, and which classes lost how many of theirs."""
    others = [file for file in files if not file.image]
    if not others:
        return []
    lost = Counter(
        f"{split}/{file.parts[0]}" if len(groups) > 1 else file.parts[0]
        for split, group in groups.items()
        for file in group.files
        if not file.image and len(file.parts) > 1
    )
    classes = [f"{count} of class {name!r}" for name, count in sorted(lost.items())]
    more = [f"and of {len(classes) - SHOWN} more classes"] if len(classes) > SHOWN else []
    rest = [f"{len(others) - lost.total()} elsewhere"] if lost and len(others) > lost.total() else []
    where = (
        f": {', '.join([*classes[:SHOWN], *more, *rest])}" if lost else f" (the first: {'/'.join(others[0].parts)!r})"
    )
    return [f"{len(others)} files that are no images by their content were left out{where}."]


def _outside(split: str, group: Group) -> list[str]:
    loose = [file for file in group.images if len(file.parts) < 2]
    return [f"{len(loose)} images of the split {split!r} lie in no class folder and were left out."] if loose else []


def _classes(group: Group, limits: Limits) -> tuple[str, ...]:
    filled = {file.parts[0] for file in group.images if len(file.parts) > 1}
    if not filled:
        what = f"The dataset has no class folders with images{_lies(group)}."
        raise InvalidDataset(what, _remedy(group), {"images": len(group.images)})
    empty = sorted({parts[0] for parts in group.folders if parts} - filled)
    if empty:
        held = Counter(file.parts[0] for file in group.files if len(file.parts) > 1)
        shown = ", ".join(f"{name}: {held[name]} files, none an image" if held[name] else name for name in empty[:3])
        raise InvalidDataset(
            f"{len(empty)} class folders hold no images ({shown}).",
            "Remove them or fill them with images (BMP, GIF, JPEG, PNG, PPM, TIFF, WebP, AVIF).",
            {"classes": empty[:20]},
        )
    if len(filled) < 2:
        what = f"The dataset has only one class, {min(filled)!r}: a student of one class has nothing to tell apart."
        raise InvalidDataset(what, f"{REMEDY} {NO_CLASS}", {"classes": sorted(filled)})
    if len(filled) > limits.classes:
        raise InvalidDataset(f"The dataset has {len(filled)} classes, more than {limits.classes}.", REMEDY)
    return tuple(sorted(filled))


def _lies(group: Group) -> str:
    loose = sum(len(file.parts) == 1 for file in group.images)
    where = f" in the folder {group.name!r}" if group.name else " at its top"
    return f": {loose} images lie directly{where}" if loose else ""


def _remedy(group: Group) -> str:
    tables = [file for file in group.files if not file.image and file.is_table]
    if tables and not group.images:
        return f"The archive holds tables ({tables[0].parts[-1]}, ...) and no images: upload the tables themselves."
    table = "Or add a table with the columns file_name and label."
    if tables:
        return f"{REMEDY} {table} If the images have no classes, take {tables[0].parts[-1]} out."
    return f"{REMEDY} {table}" if group.images else REMEDY


def _labelled(split: str, group: Group, classes: tuple[str, ...]) -> list[tuple[File, int]]:
    label = {name: i for i, name in enumerate(classes)}
    inside = [file for file in group.images if len(file.parts) > 1]
    counts = Counter(file.parts[0] for file in inside)
    foreign = sorted(set(counts) - set(label))
    if foreign:
        shown = ", ".join(f"{name}: {counts[name]} images" for name in foreign[:3])
        raise InvalidDataset(
            f"Split {split!r} has classes that the training split lacks ({shown}).",
            "Give every split the same class folders.",
            {"classes": foreign[:20], "split": split},
        )
    if not inside:
        raise InvalidDataset(
            f"Split {split!r} holds no images in class folders{_lies(group)}.", REMEDY, {"split": split}
        )
    return sorted(((file, label[file.parts[0]]) for file in inside), key=lambda item: (item[1], item[0].parts))
