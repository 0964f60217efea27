"""YOLO: a text file an image, `class x y width height` a line, centre and sides as shares of the image's; `data.yaml`.

An image without a text file, or with an empty one, has no objects, as Ultralytics reads it. A line of more than two
corners (`class x1 y1 x2 y2 x3 y3 ...`) is a polygon, whose box is taken. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from distill.data.members import Parts
from distill.data.split_names import TEST, TRAIN, VALIDATION, split_of
from distill.modalities.images.archives.members import Members, content
from distill.modalities.images.paths import File, is_junk
from distill.tasks.detect_objects.pictures import Pictures
from distill.tasks.detect_objects.written import Corners, LeftOut, Names, Part, Reading, Writer, refuse

MOST_BYTES, MOST_YAML_BYTES = 4 * 2**20, 256 * 2**10
NAMES = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt", "predefined_classes.txt")
"""Files of a class name a line, where there is no `data.yaml`."""
_IMAGES = frozenset({"images", "imgs", "img", "image", "jpegimages"})
_LABELS = ("labels", "label", "annotations")
_NO_LABELS = frozenset({*NAMES, "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "notes.txt"})
_SPLITS = {TRAIN: ("train",), VALIDATION: ("val", "valid", "validation"), TEST: ("test",)}
LINES = "Write `class x y width height` a line: a number from 0, then centre and sides as shares of the image's sides."
Labels = Mapping[Parts, File]


@dataclass(frozen=True, slots=True)
class Config:
    """A `data.yaml`: names by number, per split the paths that it gives, and how many classes it says that there are
    (`nc`, None where it does not say)."""

    folder: Parts
    name: str
    names: dict[int, str]
    splits: dict[str, list[str]]
    count: int | None = None

    def contradiction(self) -> list[str]:
        """A note where `nc` is not the number of names, by which boxes are read."""
        if self.count in (None, len(self.names)):
            return []
        return [f"{self.name} says nc: {self.count}, and names {len(self.names)} classes: the names were used."]


def fits(members: Members) -> bool:
    """Whether images have text files in a folder `labels`, or beside them where a file names classes too. Raises
    nothing."""
    labels = _labels(members.files)
    named = any(file.parts[-1].lower() in NAMES or _is_yaml(file) for file in members.files)
    for file in members.files:
        found = _label(file, labels) if file.image and not is_junk(file.parts) else None
        if found is not None and (named or found.parts[:-1] != file.parts[:-1]):
            return True
    return False


def parse(text: str, name: str) -> Iterator[tuple[int, Corners]]:
    """(class, corners as shares) of each line. Raises `InvalidDataset` for a line that is no box."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            refuse(f"line {number} of {name} is not numbers: {line[:60]!r}", LINES, file=name, line=number)
        if not values[0].is_integer() or values[0] < 0:
            refuse(f"line {number} of {name} has the class {words[0][:20]!r}", LINES, file=name, line=number)
        if len(values) == 5:
            _, x, y, width, height = values
            yield int(values[0]), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif len(values) >= 7 and len(values) % 2:
            xs, ys = values[1::2], values[2::2]
            yield int(values[0]), (min(xs), min(ys), max(xs), max(ys))
        else:
            what = f"line {number} of {name} has {len(values)} numbers, and a box takes 5"
            refuse(what, f"{LINES} Leave confidences out.", file=name, line=number)


def configuration(data: bytes, path: Parts) -> Config | None:
    """What a YAML file says; None for one without `names`. Raises `InvalidDataset`."""
    name = "/".join(path)
    if len(data) > MOST_YAML_BYTES:
        refuse(f"{name} has {len(data):,} bytes, more than {MOST_YAML_BYTES:,}", "Leave other settings out.", file=name)
    try:
        found: Any = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError, UnicodeDecodeError) as error:
        refuse(f"{name} is no YAML ({str(error).splitlines()[0][:100]})", "Write `names: [cat, dog]`.", file=name)
    if not isinstance(found, Mapping) or "names" not in found:
        return None
    count = found.get("nc")
    known = count if isinstance(count, int) and not isinstance(count, bool) else None
    return Config(path[:-1], name, _names(found["names"], name), dict(_paths(found)), known)


def _names(value: Any, source: str) -> dict[int, str]:
    """A list of names, or number -> name."""
    pairs = list(enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ())
    good = all(isinstance(number, int) and isinstance(name, str | int | float) for number, name in pairs)
    if not pairs or not good:
        refuse(f"`names` of {source} is neither a list of names nor numbers with names", "Write `names: [cat, dog]`.")
    names = {number: str(name).strip() for number, name in pairs}
    if len(set(names.values())) < len(names):
        refuse(f"{source} names a class twice", "Give each number another name.", file=source)
    return names


def _paths(found: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    root = found.get("path")
    for split, keys in _SPLITS.items():
        value = next((found[key] for key in keys if found.get(key)), None)
        given = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        if given:
            yield split, [f"{root}/{each}" if isinstance(root, str) else each for each in given]


@dataclass
class _Reader:
    members: Members
    pictures: Pictures
    names: dict[int, str] | None
    source: str
    used: set[int] = field(default_factory=set)
    highest: int = -1

    def part(self, files: Sequence[File], labels: Labels) -> Part:
        writer = Writer()
        for file in files:
            place, label = writer.image(), _label(file, labels)
            if label is not None:
                self.used.add(label.position)
                for number, corners in self._boxes(label):
                    writer.box(place, corners, number)
        return Part(self.members.source([file.position for file in files]), writer.done())

    def _boxes(self, file: File) -> Iterator[tuple[int, Corners]]:
        name = "/".join(file.parts)
        data = content(self.members, file)
        if len(data) > MOST_BYTES:
            refuse(f"{name} has {len(data):,} bytes, more than {MOST_BYTES:,}", LINES, file=name)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            refuse(f"{name} is no text", LINES, file=name)
        for number, corners in parse(text, name):
            if self.names is not None and number not in self.names:
                known = f"{len(self.names)} classes of {self.source} ({min(self.names)} to {max(self.names)})"
                what = f"{name} has the class {number}, which is none of the {known}"
                refuse(what, f"Name it in {self.source}, or correct the number.", file=name, category=number)
            if number > 99_999:
                refuse(f"{name} has the class {number}", LINES, file=name)
            self.highest = max(self.highest, number)
            yield number, corners


def read(members: Members) -> Reading:
    """Raises `InvalidDataset`."""
    pictures, labels = Pictures(members), _labels(members.files)
    config, notes = _config(members)
    names, source = (config.names, config.name) if config else _plain_names(members)
    reader = _Reader(members, pictures, names, source)
    files, said = _splits(pictures, config, members)
    parts = {split: reader.part(each, labels) for split, each in files.items()}
    if names is None:
        names = {number: str(number) for number in range(reader.highest + 1)}
        notes.append("No file names the classes (data.yaml, classes.txt): they are called by their numbers.")
    classes, numbers = _numbered(names, source)
    for part in parts.values():
        part.written.labels[:] = [numbers[number] for number in part.written.labels.tolist()]
    alone = [
        "/".join(file.parts)
        for file in labels.values()
        if file.position not in reader.used and any(folder.lower() in _LABELS for folder in file.parts[:-1])
    ]
    left_out = LeftOut.of(
        "label files have no image and were left out", alone, len(labels), "Add the images, or take their files out."
    )
    return Reading(parts, classes, "shares", (*notes, *said), (left_out,))


def _numbered(names: Mapping[int, str], source: str) -> tuple[tuple[str, ...], dict[int, int]]:
    """Classes in the order of their numbers, and the place of each number."""
    order, checked = sorted(names), Names()
    for number in order:
        checked.number(names[number], source)
    return tuple(names[number] for number in order), {number: place for place, number in enumerate(order)}


def _is_yaml(file: File) -> bool:
    return file.parts[-1].lower().endswith((".yaml", ".yml")) and file.position >= 0 and not is_junk(file.parts)


def _config(members: Members) -> tuple[Config | None, list[str]]:
    """The YAML file with `names` that lies least deep, `data.yaml` first."""
    files = sorted(
        filter(_is_yaml, members.files),
        key=lambda file: (len(file.parts), not file.parts[-1].startswith("data"), file.parts),
    )
    found = [config for file in files if (config := configuration(content(members, file), file.parts)) is not None]
    if not found:
        return None, []
    first, *others = found
    return first, [*first.contradiction(), *(f"Not used: {other.name}." for other in others)]


def _plain_names(members: Members) -> tuple[dict[int, str] | None, str]:
    files = [file for file in members.files if file.parts[-1].lower() in NAMES and file.position >= 0]
    files += [file for file in members.files if file.parts[-1].lower().endswith(".names") and file.position >= 0]
    if not files:
        return None, ""
    first = min(files, key=lambda file: (len(file.parts), file.parts))
    name = "/".join(first.parts)
    lines = content(members, first)[:MOST_YAML_BYTES].decode("utf-8-sig", "replace").splitlines()
    return _names([line for line in lines if line.strip()], name), name


def _labels(files: Iterable[File]) -> dict[Parts, File]:
    """Text files that may be labels, by path without the ending, folders in small letters."""
    found = [
        file
        for file in files
        if file.parts[-1].lower().endswith(".txt") and file.position >= 0 and not is_junk(file.parts)
    ]
    return {_key(file): file for file in found if file.parts[-1].lower() not in _NO_LABELS}


def _key(file: File) -> Parts:
    return (*(folder.lower() for folder in file.parts[:-1]), PurePosixPath(file.parts[-1]).stem)


def _label(file: File, labels: Labels) -> File | None:
    """The label file of an image: in the folder that is called `labels` where the image's is called `images`, else
    beside it."""
    key = _key(file)
    for at in reversed([at for at, folder in enumerate(key[:-1]) if folder in _IMAGES]):
        for name in _LABELS:
            if (found := labels.get((*key[:at], name, *key[at + 1 :]))) is not None:
                return found
    return labels.get(key)


def _splits(pictures: Pictures, config: Config | None, members: Members) -> tuple[dict[str, list[File]], list[str]]:
    """Images by split: as `data.yaml` says, else by their folders' names; with notes."""
    images = sorted(pictures.files, key=lambda file: file.parts)
    given, notes = _given(config, images, pictures, members) if config else ({}, [])
    if not given.get(TRAIN):
        found: dict[str, list[File]] = {}
        for file in images:
            split = next((said for folder in reversed(file.parts[:-1]) if (said := split_of(folder))), "")
            found.setdefault(split, []).append(file)
        return found, notes
    train = {file.position for file in given[TRAIN]}
    splits, used = dict[str, list[File]](), set[int]()
    for split in (TEST, VALIDATION, TRAIN):
        files = [file for file in given.get(split, ()) if file.position not in used]
        if split != TRAIN and files and all(file.position in train for file in files):
            notes.append(f"Not used: the split {split!r} of data.yaml, whose images are those of the training split.")
            continue
        used |= {file.position for file in files}
        splits |= {split: files} if files else {}
    rest = [file for file in images if file.position not in used]
    return splits | ({"": rest} if rest else {}), notes


def _given(
    config: Config, images: Sequence[File], pictures: Pictures, members: Members
) -> tuple[dict[str, list[File]], list[str]]:  # fmt: skip
    found, notes = dict[str, list[File]](), list[str]()
    for split, paths in config.splits.items():
        for path in paths:
            files, absent = _of(path, config.folder, images, pictures, members)
            notes += LeftOut.of(f"names in {path[:200]} have no image", absent, len(files) + len(absent)).note(0)
            if files:
                found.setdefault(split, []).extend(files)
            else:
                notes.append(f"{config.name} names {path[:200]!r} as the split {split!r}, which holds no image here.")
    return {split: list({file.position: file for file in files}.values()) for split, files in found.items()}, notes


def _of(
    path: str, folder: Parts, images: Sequence[File], pictures: Pictures, members: Members
) -> tuple[list[File], list[str]]:
    """The images that a path of `data.yaml` stands for: those below a folder, or those that a list names; and names of
    a list without an image."""
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    if path.lower().endswith(".txt"):
        lists = [file for file in members.files if file.position >= 0 and _ends(file.parts, parts[-1:])]
        lines = content(members, lists[0]).decode("utf-8-sig", "replace").splitlines() if lists else []
        named = {line.strip(): pictures.find(line.strip(), folder, None) for line in lines if line.strip()}
        return [file for file in named.values() if file], [name for name, file in named.items() if file is None]
    said = {split for part in parts if (split := split_of(part))}
    for at in range(len(parts)):  # a path of another machine counts by its end, as long as that still says the split
        end = parts[at:]
        if {split for part in end if (split := split_of(part))} != said:
            break
        folders = {file.parts[:stop] for file in images for stop in range(1, len(file.parts))}
        if tops := {top for top in folders if _ends(top, end)}:
            top = min(tops, key=lambda top: (top[: len(folder)] != folder, len(top), top))
            return [file for file in images if file.parts[: len(top)] == top], []
    return [], []


def _ends(parts: Parts, end: Parts) -> bool:
    return parts[-len(end) :] == end
