"""Classes that folders within the shards say, by the rules of an archive: where no image has a label of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from distill.data.limits import Limits
from distill.data.members import Parts
from distill.data.split_names import CLASSLESS, TRAIN, UNLABELLED
from distill.errors import InvalidDataset
from distill.modalities.images.paths import File
from distill.modalities.images.shards.refusal import refuse
from distill.modalities.images.tree import Layout, arrange
from distill.unlabelled import NO_LABEL

REMEDY = (
    "Lay each image into the folder of its class (`cat/1.jpg`, or `train/cat/1.jpg`), or write its class into a file "
    "`.cls` beside it; or read all images without labels (`classes_from: none`)."
)
Named = Callable[[int], tuple[str, str]]
"""Row -> its shard's name and its key."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """By row: the `labels` that folders say, None where they say none, and the split; None: the row is not used.
    `classes`: in order, () where folders say none."""

    classes: tuple[str, ...]
    labels: list[str | None]
    splits: list[str | None]
    notes: tuple[str, ...]


def arranged(
    keys: Sequence[str], splits: Sequence[str], folders: Mapping[str, Set[Parts]], limits: Limits, named: Named
) -> Arranged:
    """Samples by the folders of their keys, in the splits that roles or the shards' names say; where all of them train,
    folders may say splits too. `folders`: those that the tars list, by split. Raises `InvalidDataset` as an archive of
    the same files does; and for images beside class folders or in folders below them, by shard and key."""
    labels: list[str | None] = [None] * len(keys)
    used: list[str | None] = list(splits)
    present = sorted(set(splits) - CLASSLESS, key=lambda split: split != TRAIN)
    classes: tuple[str, ...] = ()
    notes: list[str] = []
    for split in present:
        rows = [row for row, own in enumerate(splits) if own == split]
        layout = _layout(_files(keys, rows), folders.get(split, frozenset()), limits)
        _check_divided(layout, split, alone=present == [TRAIN])
        _check_placed(layout, rows, keys, named)
        if split == TRAIN:
            classes = layout.classes
        elif layout.classes and not classes:
            raise InvalidDataset(
                f"The {split} split has class folders, and the training images have none.", REMEDY, {"split": split}
            )
        notes += [note for note in layout.notes if note not in notes]
        for row in rows:
            used[row] = None
        for target, files in layout.splits.items():
            for file, label in files:
                labels[file.position] = None if label == NO_LABEL else layout.classes[label]
                used[file.position] = split if target == TRAIN or split != TRAIN else target
    told = [f"Classes are the folders of the images within the shards ({len(classes):,}): no image has a label file."]
    return Arranged(classes, labels, used, (*(told if classes else ()), *notes))


def _files(keys: Sequence[str], rows: Sequence[int]) -> list[File]:
    """An image a row. Those of one folder share their path: of a million images it is the folder alone that tells."""
    paths: dict[str, Parts] = {}
    files = []
    for row in rows:
        folder = keys[row].rpartition("/")[0]
        path = paths.get(folder)
        if path is None:
            path = paths[folder] = (*folder.split("/"), "x") if folder else ("x",)
        files.append(File(path, row, True))
    return files


def _layout(files: Sequence[File], folders: Set[Parts], limits: Limits) -> Layout:
    try:
        return arrange(files, folders, limits)
    except InvalidDataset as error:
        remedy = f"{error.remedy} Or read all images without labels (`classes_from: none`)."
        raise InvalidDataset(f"By their folders within the shards: {error.message}", remedy, error.details) from error


def _check_divided(layout: Layout, split: str, *, alone: bool) -> None:
    """Raise `InvalidDataset` where both the shards and the folders in them say splits."""
    if alone or layout.splits.keys() <= {TRAIN, UNLABELLED}:
        return
    raise InvalidDataset(
        f"The shards of the {split} split hold folders of several splits ({', '.join(sorted(layout.splits))}).",
        "Let either the folders within the shards say the splits, or roles and the shards' names.",
        {"splits": sorted(layout.splits), "split": split},
    )


def _check_placed(layout: Layout, rows: Sequence[int], keys: Sequence[str], named: Named) -> None:
    """Refuse by its key an image that lies beside class folders, and one of which two folders may be the class."""
    if not layout.classes:
        return
    placed = {file.position for files in layout.splits.values() for file, _ in files}
    around = {""}
    for files in layout.splits.values():
        for file, label in files:
            if label != NO_LABEL and len(file.parts) > 2:
                _refuse_nested(file.position, file.parts, named)
    for folder in {keys[row].rpartition("/")[0] for row in placed}:
        parts = folder.split("/")
        around |= {"/".join(parts[:depth]) for depth in range(len(parts))}
    beside = (row for row in rows if row not in placed and keys[row].rpartition("/")[0] in around)
    if (row := next(beside, None)) is not None:
        shard, key = named(row)
        refuse(shard, f"the image {key!r} lies in no class folder, and others do", REMEDY, key=key)


def _refuse_nested(row: int, parts: Parts, named: Named) -> None:
    shard, key = named(row)
    refuse(
        shard,
        f"which folder is the class of {key!r} is in doubt: {parts[0]!r}, or {parts[-2]!r} within it",
        f"Let images lie right in the folders of their classes. {REMEDY}", key=key, folders=[parts[0], parts[-2]],
    )  # fmt: skip
