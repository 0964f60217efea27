"""From file paths to pairs of image and mask: the layouts that datasets for segmentation come in. Torch-free.

Read: `images/` beside `masks/` (also below or above `train/ val/ test/`), VOC's `JPEGImages` beside `SegmentationClass`
with the lists of `ImageSets`, Cityscapes' `leftImg8bit` beside `gtFine`, CamVid's `train/` beside `trainannot/`
(`train_labels/`, `train_masks/`), nnU-Net's `imagesTr/` beside `labelsTr/`, Roboflow's `x_mask.png` beside `x.jpg`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from distill.data.labelled import held_out
from distill.data.members import Parts
from distill.data.split_names import MEDICAL, split_of
from distill.errors import InvalidDataset
from distill.modalities.images.paths import File, is_junk
from distill.modalities.images.split_lists import HELD_OUT_FIRST, Lists, read_lists

IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages", "leftimg8bit"})
MASKS = frozenset({
    "masks", "mask", "annotations", "annotation", "labels", "label", "segmentationclass", "segmentationclassaug",
    "segmentationclasspng", "gtfine", "gt", "ground_truth", "segmentations",
})  # fmt: skip
_BESIDE = ("annot", "_annot", "_labels", "_masks", "_annotations", "_mask", "_label")
_SUFFIXES = ("_gtfine_labeltrainids", "_gtfine_labelids", "_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_l")
_OTHERS = ("_gtfine_color", "_gtfine_instanceids", "_gtfine_instancetrainids")
REMEDY = (
    "Put images into images/ and masks with the same names into masks/ (PNG), both below train/ and test/ where the "
    "dataset is divided; VOC's, Cityscapes', CamVid's, nnU-Net's and Roboflow's layouts are read too."
)
ROBOFLOW = "_classes.csv"
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    image: File
    mask: File


@dataclass(frozen=True, slots=True)
class Pairing:
    """`splits` has `train` and maybe `test`. `unmasked`: images without a mask, by path."""

    splits: dict[str, list[Pair]]
    unmasked: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Placed:
    """Files by (split or "", key)."""

    images: dict[tuple[str, Key], File] = field(default_factory=dict)
    masks: dict[tuple[str, Key], File] = field(default_factory=dict)


def is_paired(files: Iterable[File]) -> bool:
    """Whether the files lie in one of the layouts: at least one image has a mask. Raises nothing."""
    try:
        placed = _place(files)
    except InvalidDataset:
        return True  # paired, and badly: the reader says how
    return any(key in placed.masks for key in placed.images)


def pair(files: Iterable[File], read: Callable[[File], bytes], part: bool = False) -> Pairing:
    """Pairs by split, in path order. `read` gives a list file's bytes; `part`: the files are one split, whatever their
    folders say. Raises `InvalidDataset` where no image has a mask."""
    kept = [file for file in files if not is_junk(file.parts)]
    placed = _place(kept)
    lists, whose = _lists(kept, read)
    if not placed.images or not placed.masks:
        missing = "images" if not placed.images else "masks"
        raise InvalidDataset(f"The dataset has no folder of {missing}.", REMEDY, {"missing": missing})
    found, listed = _by_list(placed, lists) if lists else (_by_folder(placed), [])
    if part:
        found = {"train": [item for items in found.values() for item in items]}
    pairing = _used(found, placed)
    return replace(pairing, notes=(*whose, *listed, *pairing.notes))


def _used(found: dict[str, list[tuple[File, File | None]]], placed: _Placed) -> Pairing:
    masked = {name for name, items in found.items() if any(mask for _, mask in items)}
    if not masked - {""}:
        masked, found = {"train"} if masked else set(), {"train": [item for items in found.values() for item in items]}
    if "train" not in masked:
        lonely = [_path(image) for items in found.values() for image, mask in items if mask is None]
        raise InvalidDataset(
            "No image of the training split has a mask of the same name.",
            REMEDY,
            {"splits": sorted(found), "unmasked": lonely[:20]},
        )
    chosen = {name: split for name, split in held_out(masked).items() if name in masked}
    splits = {split: _pairs(found[name]) for name, split in chosen.items()}
    unmasked = [_path(image) for name in chosen for image, mask in found[name] if mask is None]
    unused = [f"Not used: {len(found[name])} images of {_called(name)}." for name in sorted(set(found) - set(chosen))]
    return Pairing(splits, tuple(unmasked), (*_unmasked(unmasked), *_alone(placed), *unused))


def _pairs(items: Iterable[tuple[File, File | None]]) -> list[Pair]:
    return sorted((Pair(image, mask) for image, mask in items if mask is not None), key=lambda each: each.image.parts)


def _unmasked(paths: Sequence[str]) -> list[str]:
    return [f"{len(paths)} images have no mask and were left out: {some(paths)}."] if paths else []


def _alone(placed: _Placed) -> list[str]:
    alone = [_path(file) for key, file in placed.masks.items() if key not in placed.images]
    return [f"{len(alone)} masks have no image and were left out: {some(alone)}."] if alone else []


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _called(split: str) -> str:
    return f"the split {split!r}" if split else "no split"


def _path(file: File) -> str:
    return "/".join(file.parts)


def _by_folder(placed: _Placed) -> dict[str, list[tuple[File, File | None]]]:
    found: dict[str, list[tuple[File, File | None]]] = {}
    for (split, key), image in placed.images.items():
        found.setdefault(split, []).append((image, placed.masks.get((split, key))))
    return found


def _by_list(placed: _Placed, lists: Lists) -> tuple[dict[str, list[tuple[File, File | None]]], list[str]]:
    """The images that a list names, by their stems; the others belong to no split. An image that several lists name is
    held out (**our choice**). With notes on such images, and on names without an image. Raises `InvalidDataset` where
    no name has one."""
    by_stem = {key[-1]: (image, placed.masks.get((split, key))) for (split, key), image in placed.images.items()}
    used, found, absent, twice = set[str](), dict[str, list[tuple[File, File | None]]](), list[str](), list[str]()
    for split in sorted(lists, key=HELD_OUT_FIRST.index):
        stems = dict.fromkeys(name if name in by_stem else PurePosixPath(name).stem for name in lists[split])
        absent += [stem for stem in stems if stem not in by_stem]
        twice += [stem for stem in stems if stem in used]
        found[split] = [by_stem[stem] for stem in stems if stem in by_stem and stem not in used]
        used |= stems.keys()
    if not any(found.values()):
        remedy = "Write a file's name without its ending a line, as VOC's lists do, or leave the lists out."
        raise InvalidDataset(
            f"The lists of ImageSets name no image that is there: {some(absent)}.", remedy, {"names": absent[:20]}
        )
    others = [pair for stem, pair in by_stem.items() if stem not in used]
    notes = [f"{len(absent)} names in the lists of ImageSets have no image: {some(absent)}."] if absent else []
    notes += [f"{len(twice)} images are in several lists, and are held out: {some(twice)}."] if twice else []
    return found | ({"": others} if others else {}), notes


def _lists(files: Sequence[File], read: Callable[[File], bytes]) -> tuple[Lists, list[str]]:
    """Split -> stems, of ImageSets/Segmentation or ImageSets itself, else of ImageSets/Main, with a note."""
    if (lists := read_lists(files, read, "", "segmentation")) or not (lists := read_lists(files, read, "main")):
        return lists, []
    return lists, ["The splits are those of ImageSets/Main: there are no lists in ImageSets/Segmentation."]


def _place(files: Iterable[File]) -> _Placed:
    plain = [file for file in files if not is_junk(file.parts)]
    kept, together = [file for file in plain if file.image], _together(plain)
    beside = any(_beside(folder) for file in kept for folder in file.parts[:-1])
    placed = _Placed()
    masks = list[tuple[str, Key, File]]()
    for file in kept:
        kind, split, key = _role(file.parts, beside)
        if not kind and file.parts[:-1] in together:
            kind = "mask" if key[-1].lower().endswith("_mask") else "image"
        if kind == "image":
            _add(placed.images, (split, key), file)
        elif kind == "mask":
            masks.append((split, key, file))
    _name_masks(placed, masks)
    return placed


def _together(files: Sequence[File]) -> frozenset[Parts]:
    """Folders that hold images and their masks together, as Roboflow exports them: every `x_mask` beside an `x`, where
    a table `_classes.csv` says that these are masks."""
    if not any(file.parts[-1].lower() == ROBOFLOW for file in files):
        return frozenset()
    stems: dict[Parts, set[str]] = {}
    for file in files:
        if file.image:
            stems.setdefault(file.parts[:-1], set()).add(PurePosixPath(file.parts[-1]).stem.lower())
    masks = {folder: {stem for stem in found if stem.endswith("_mask")} for folder, found in stems.items()}
    return frozenset(
        folder
        for folder, found in masks.items()
        if found and {stem.removesuffix("_mask") for stem in found} <= stems[folder]
    )


def _name_masks(placed: _Placed, masks: Iterable[tuple[str, Key, File]]) -> None:
    """Masks under their images' keys: by the same stem, else without a usual suffix (`_mask`, `_gtFine_labelIds`)."""
    for split, key, file in sorted(masks, key=lambda item: (_rank(item[1][-1]), item[2].parts)):
        stem = key[-1].lower()
        if stem.endswith(_OTHERS):
            continue
        if (split, key) in placed.images:
            _add(placed.masks, (split, key), file)
            continue
        suffix = next((suffix for suffix in _SUFFIXES if stem.endswith(suffix)), "")
        short = (split, (*key[:-1], key[-1][: len(stem) - len(suffix)]))
        if not (suffix and short in placed.masks):  # labelTrainIds come first and count
            placed.masks[short] = file


def _rank(stem: str) -> int:
    return next((place for place, suffix in enumerate(_SUFFIXES) if stem.lower().endswith(suffix)), -1)


def _add(known: dict[tuple[str, Key], File], key: tuple[str, Key], file: File) -> None:
    if key in known:
        both = f"{_path(known[key])!a} and {_path(file)!a}"
        raise InvalidDataset(f"Two files of one name: {both}.", "Keep one of them.", {"files": both})
    known[key] = file


def _beside(folder: str) -> str | None:
    """The split of a folder that is called as its masks: `trainannot`, `train_labels`."""
    lower = folder.lower()
    stems = (lower.removesuffix(suffix) for suffix in _BESIDE if lower.endswith(suffix))
    return next((split for split in map(split_of, stems) if split), None)


def _role(parts: Parts, beside: bool) -> tuple[str, str, Key]:
    """(`image`, `mask` or "", split or "", key) of a file: its key is the folders that say neither and its stem."""
    kind, split, rest = "", "", list[str]()
    for folder in parts[:-1]:
        lower = folder.lower()
        if not kind and lower in IMAGES | MASKS:
            kind = "image" if lower in IMAGES else "mask"
            rest = [] if lower in ("leftimg8bit", "gtfine") else rest  # their parents are called after them
        elif not kind and lower in MEDICAL:
            kind, split = "image" if lower.startswith("images") else "mask", MEDICAL[lower]
        elif not kind and (named := _beside(folder)):  # before the split: `train_labels` says one too
            kind, split = "mask", named
        elif not split and (named := split_of(folder)):
            split = named
        else:
            rest.append(folder)
    stem = PurePosixPath(parts[-1]).stem
    if beside and not kind and split:
        kind = "image"
    if stem.lower().endswith("_leftimg8bit"):
        stem = stem[: -len("_leftimg8bit")]
    return kind, split, (*rest, stem)


def common_names(files: Iterable[File], wanted: Sequence[str]) -> list[File]:
    """The files of these names, those named first in `wanted` and then the least deep first."""
    known = {name: place for place, name in enumerate(wanted)}
    found = [file for file in files if file.parts[-1].lower() in known and not is_junk(file.parts)]
    return sorted(found, key=lambda file: (known[file.parts[-1].lower()], len(file.parts), file.parts))
