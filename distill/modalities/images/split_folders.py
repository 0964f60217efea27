"""Which folders are splits and which are classes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from distill.data.labelled import split_notes
from distill.data.members import Parts
from distill.data.split_names import (
    EXACT,
    NEUTRAL,
    TEST,
    TRAIN,
    UNLABELLED,
    VALIDATION,
    Meaning,
    split_of,
    splits_among,
    words,
)
from distill.errors import InvalidDataset
from distill.modalities.images.paths import File

REMEDY = "Put each class's images in a folder of its own: train/<class>/... and test/<class>/..., or <class>/..."
NO_CLASS = "Images without classes lie at the archive's top, or in a folder unlabelled/."
SPLIT_OR_CLASS = (
    "If they are classes, put all of them below train/ (train/<class>/...), and test images below test/; "
    "if not, put class folders into the split's folder and leave the others out."
)
_SHOWN = 5


@dataclass(slots=True)
class Group:
    """Files and folders below one folder, their paths counted from there; `name`: that of a folder that is a split."""

    files: list[File]
    folders: set[Parts]
    name: str = ""

    @property
    def images(self) -> list[File]:
        return [file for file in self.files if file.image]

    def below(self, name: str) -> Group:
        """What lies in the folder `name`."""
        files = [file.below(1) for file in self.files if file.parts[0] == name and len(file.parts) > 1]
        return Group(files, {parts[1:] for parts in self.folders if len(parts) > 1 and parts[0] == name}, name)


def without_top(group: Group) -> Group:
    """Looked through each folder around everything, as long as there are folders in it."""
    images = group.images
    tops = {file.parts[0] for file in images} | {parts[0] for parts in group.folders if parts}
    if len(tops) != 1 or not images or split_of(min(tops)) == UNLABELLED or min(len(file.parts) for file in images) < 3:
        return group
    inner = group.below(tops.pop())
    return without_top(Group(inner.files, inner.folders, group.name))


def divided(whole: Group) -> tuple[dict[str, Group], list[str]]:
    """`train` and maybe `test` and `unlabelled` of everything, with notes on what was read as what. Raises
    `InvalidDataset` where names leave it in doubt."""
    whole, outer = apart(whole)
    groups, notes = _labelled(whole, fewest=2 if outer is None else 1)
    groups[TRAIN], inner = apart(groups[TRAIN])
    found = [group for group in (outer, inner) if group is not None]
    for group in found:
        notes.append(f"The folder {group.name!r} was read as {len(group.images)} images without labels.")
    if found:
        files = [file for group in found for file in group.files]
        groups[UNLABELLED] = Group(files, set(), UNLABELLED)
    return groups, notes


def apart(group: Group) -> tuple[Group, Group | None]:
    """What is not in a folder that is called unlabelled, and what is; None: there is no such folder with images."""
    named = sorted({file.parts[0] for file in group.images if len(file.parts) > 1 and is_unlabelled(file.parts[0])})
    if not named:
        return group, None
    taken = [group.below(name) for name in named]
    files = [file for file in group.files if len(file.parts) < 2 or file.parts[0] not in named]
    folders = {parts for parts in group.folders if parts and parts[0] not in named}
    inside = [file for part in taken for file in part.files]
    return Group(files, folders, group.name), Group(inside, set(), ", ".join(named))


def is_unlabelled(folder: str) -> bool:
    """Whether its name surely says so: `unlabelled`, `Unlabeled_images`, `unsupervised`."""
    return split_of(folder) == UNLABELLED


def is_flat(group: Group, *, among: bool, tables: bool) -> bool:
    """Whether the group's images lie in no class folders: all directly in it, or in one folder that only says that it
    holds images (`pictures/`). `tables`: there are tables, which may name their classes, so that they are not. `among`:
    beside images that are called unlabelled there may be none at all."""
    images = group.images
    if not images:
        return among
    folders = {file.parts[0] for file in images if len(file.parts) > 1}
    plain = len(folders) == 1 and max(len(file.parts) for file in images) == 2 and _only_holds_images(min(folders))
    return not tables and (not folders or plain)


def _only_holds_images(folder: str) -> bool:
    """Whether its name is made of neutral words alone. One without any word, such as `7`, is a class's."""
    said = words(folder)
    return bool(said) and said <= NEUTRAL


def _labelled(whole: Group, fewest: int) -> tuple[dict[str, Group], list[str]]:
    firsts = {file.parts[0] for file in whole.images if len(file.parts) > 1} | {p[0] for p in whole.folders if p}
    said = splits_among(firsts)
    train = _chosen(TRAIN, said)
    if train is None:
        _check_some_train(whole, said, fewest)
        return _by_class(whole)
    if _is_class(train, firsts, said, whole.images):
        return {TRAIN: whole}, [f"The folder {train!r} was read as a class, not as a split."]
    alike = {name: meaning for name, meaning in said.items() if meaning.rest == said[train].rest}
    test, validation = (_chosen(split, alike) or _chosen(split, said) for split in (TEST, VALIDATION))
    chosen = {TRAIN: train} | ({TEST: test or validation} if test or validation else {})
    groups = {split: whole.below(name) for split, name in chosen.items() if name}
    groups[TRAIN] = without_top(groups[TRAIN])
    return groups, _notes(whole, chosen, validation if not test else None)


def _chosen(split: str, said: Mapping[str, Meaning]) -> str | None:
    """The folder that says the split most surely: by its whole name, by neutral words, as one of a pair. Raises
    `InvalidDataset` where two do so alike."""
    ranked = sorted((not said[name].exact, bool(said[name].rest), name) for name in said if said[name].split == split)
    if not ranked:
        return None
    best = [name for *rank, name in ranked if tuple(rank) == ranked[0][:2]]
    if len(best) > 1:
        raise InvalidDataset(
            f"Which folder is the {split} split is in doubt: {' and '.join(map(repr, best[:3]))} are called so.",
            f"Name one of them {split}/ with a folder for each class in it; what is in the others belongs there too.",
            {"folders": best[:20], "split": split},
        )
    return best[0]


def _check_some_train(whole: Group, said: Mapping[str, Meaning], fewest: int) -> None:
    """Raise `InvalidDataset` where all folders, `fewest` or more, are splits, none of them for training: they are no
    classes."""
    firsts = {file.parts[0] for file in whole.images}
    if len(firsts) >= fewest and firsts <= set(said):
        raise InvalidDataset(
            f"The folders {', '.join(map(repr, sorted(firsts)[:_SHOWN]))} are splits, and none is for training.",
            "Rename the one to train on train/, with a folder for each class in it.",
            {"folders": sorted(firsts)[:20]},
        )


def _is_class(train: str, firsts: set[str], said: Mapping[str, Meaning], images: Collection[File]) -> bool:
    """Whether a folder named as the training split is a class like its neighbours (car, plane, train): it has no class
    folders, at least two neighbours hold images, and none is named after a split (**our choice** of what is beyond
    doubt). Raises `InvalidDataset` where it is in doubt."""
    neighbours = sorted({file.parts[0] for file in images if len(file.parts) == 2 and file.parts[0] not in said})
    inner = {file.parts[1] for file in images if file.parts[0] == train and len(file.parts) > 2}
    if not neighbours or len(inner) > 1:
        return False
    if not inner and len(neighbours) > 1 and len(said) == 1:
        return True
    raise InvalidDataset(
        f"Whether {train!r} is a split or a class is in doubt: images lie directly in "
        f"{', '.join(map(repr, neighbours[:3]))} beside it.",
        SPLIT_OR_CLASS,
        {"folders": sorted(firsts)[:20]},
    )


def _is_divided(folders: Iterable[str]) -> bool:
    """Whether the folders of a class are splits: one to train on, another held out."""
    said = {split_of(name) for name in folders}
    return TRAIN in said and bool(said & {TEST, VALIDATION})


def _by_class(whole: Group) -> tuple[dict[str, Group], list[str]]:
    """Class folders that hold the splits (cat/train/..., cat/test/...) turned round; else all is for training."""
    inner: dict[str, set[str]] = {}
    for file in whole.images:
        if len(file.parts) > 1:
            inner.setdefault(file.parts[0], set()).add(file.parts[1] if len(file.parts) > 2 else "")
    if not any(_is_divided(names) for names in inner.values()):
        return {TRAIN: whole}, []
    if odd := next((name for name, names in inner.items() if not all(map(split_of, names))), None):
        raise InvalidDataset(
            f"Class folders hold train/ and test/, but {odd!r} holds images elsewhere.", REMEDY, {"folder": odd}
        )
    turned: dict[str, list[File]] = {}
    for file in whole.images:
        if len(file.parts) > 2:
            parts = (file.parts[0], *file.parts[2:])
            turned.setdefault(split_of(file.parts[1]) or "", []).append(File(parts, file.position, True))
    groups = {split: Group(files, set(), split) for split, files in turned.items()}
    chosen = {TRAIN: groups[TRAIN], TEST: groups.get(TEST) or groups[VALIDATION]}
    counts = {split: len(files) for split, files in turned.items()}
    return chosen, ["Each class folder was read as divided into splits.", *split_notes(counts, "images")]


def _notes(whole: Group, chosen: Mapping[str, str | None], validation: str | None) -> list[str]:
    """How folders were read where their names are not plainly those of splits, and which were not."""
    notes = []
    if any(name and name.casefold() not in EXACT for name in chosen.values()):
        read = ", ".join(f"{name!r} as {split}" for split, name in chosen.items())
        notes.append(f"Folders were read as splits: {read}.")
    if validation:
        notes.append(f"The folder {validation!r} is the test split: there is no other.")
    counts: dict[str, int] = {}
    for file in whole.images:
        name = file.parts[0] if len(file.parts) > 1 else ""
        counts[name] = counts.get(name, 0) + 1
    unused = {name: count for name, count in sorted(counts.items()) if name not in chosen.values()}
    if loose := unused.pop("", 0):
        notes.append(f"Not used: {loose} images beside the split folders.")
    notes += [f"Not used: the folder {name!r} ({count} images)." for name, count in list(unused.items())[:_SHOWN]]
    if len(unused) > _SHOWN:
        notes.append(f"Not used: {len(unused) - _SHOWN} more folders.")
    return notes
