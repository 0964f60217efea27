"""COCO JSON: `images`, `annotations` and `categories` of a split in one file, read as a stream.

Torch-free.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import PurePosixPath
from typing import Any, NoReturn

from distill.data.json_cursor import JsonCursor
from distill.data.limits import DEFAULT, Limits
from distill.data.lines import Pieces
from distill.data.row_checks import RowLimits
from distill.data.split_names import meaning, split_of
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members, content, start
from distill.modalities.images.paths import File, is_junk
from distill.tasks.detect_objects.marks import area_of, marked, odd_areas
from distill.tasks.detect_objects.pictures import Pictures
from distill.tasks.detect_objects.written import (
    Corners,
    LeftOut,
    Names,
    Part,
    Reading,
    Writer,
    as_float,
    cut,
    refuse,
    some,
)

HEAD_BYTES, ITEM_BYTES = 1 << 16, 4 << 20
_LISTS = ("images", "annotations", "categories")
_KEYS = re.compile(rb'"(?:images|annotations|categories)"\s*:\s*\[')
_OTHERS = ("caption", "panoptic", "stuff", "image_info")
"""Names of COCO's files that hold no boxes of objects, or none of a split that has some."""
AGAIN = (
    "Write COCO's JSON: images with id and file_name, categories with id and name, annotations with image_id, "
    "category_id and bbox [x, y, width, height] in pixels."
)
Id = int | str


@dataclass
class Content:
    """What one file says. Images by id: (file name, height, width); `boxless`: ids of annotations without a box;
    `arealess`: of those that state an area that is none."""

    name: str
    images: dict[Id, tuple[str, int, int]] = field(default_factory=dict)
    categories: dict[Id, str] = field(default_factory=dict)
    boxes: dict[Id, list[tuple[Corners, Id, bool, bool, float]]] = field(default_factory=dict)
    boxless: list[str] = field(default_factory=list)
    arealess: list[str] = field(default_factory=list)
    annotations: int = 0

    def add_image(self, item: Mapping[str, Any]) -> None:
        number = self._id(item, "id", "image")
        name = item.get("file_name")
        if not isinstance(name, str) or not name.strip():
            self._refuse(f"image {number!r} has no file_name")
        if number in self.images:
            self._refuse(f"two images have the id {number!r}")
        self.images[number] = (name.strip(), _side(item.get("height")), _side(item.get("width")))

    def add_category(self, item: Mapping[str, Any]) -> None:
        number, name = self._id(item, "id", "category"), item.get("name")
        if not isinstance(name, str) or not name.strip():
            self._refuse(f"category {number!r} has no name")
        if self.categories.setdefault(number, name.strip()) != name.strip():
            self._refuse(f"two categories have the id {number!r}: {self.categories[number]!r} and {name!r}")

    def add_annotation(self, item: Mapping[str, Any]) -> None:
        self.annotations += 1
        shown = f"annotation {item.get('id', self.annotations)!s}"[:60]
        box = item.get("bbox")
        if box is None or box == []:
            self.boxless.append(shown)
            return
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            self._refuse(f"the bbox of {shown} is not four numbers: {str(box)[:60]}")
        x, y, width, height = map(as_float, box)
        area = area_of(item.get("area"))
        self.arealess += [shown] * (item.get("area") is not None and isnan(area))
        ignored, crowd = (marked(item.get(key), key, f"{shown} of {self.name}") for key in ("ignore", "iscrowd"))
        found = (x, y, x + width, y + height), self._id(item, "category_id", shown), ignored, crowd, area
        self.boxes.setdefault(self._id(item, "image_id", shown), []).append(found)

    def check(self) -> None:
        """Raise `InvalidDataset` for categories of annotations that the file does not have."""
        used = {category for boxes in self.boxes.values() for _, category, *_ in boxes}
        if foreign := sorted(used - self.categories.keys(), key=str):
            boxes = sum(category in set(foreign) for found in self.boxes.values() for _, category, *_ in found)
            what = f"{boxes:,} annotations have a category_id that none of the {len(self.categories)} categories has"
            self._refuse(
                f"{what} ({some([repr(each) for each in foreign])})",
                "Add these categories with their names, or take the annotations out.",
                categories=[each if isinstance(each, int) else cut(each) for each in foreign[:20]],
            )

    def _id(self, item: Mapping[str, Any], key: str, what: str) -> Id:
        value = item.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int | str) or isinstance(value, bool):
            self._refuse(f"the {key} of {what} is {str(value)[:40]!r}, neither a number nor text")
        return value

    def _refuse(self, what: str, remedy: str = AGAIN, **details: object) -> NoReturn:
        refuse(f"in {self.name} {what}", remedy, file=self.name, **details)


def _side(value: Any) -> int:
    return int(value) if _is_number(value) and 0 < value < 10**9 else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse(data: bytes, name: str, limits: Limits = DEFAULT) -> Content:
    """Raises `InvalidDataset` for what is no JSON, or no COCO."""
    found = Content(name)
    add = {"images": found.add_image, "categories": found.add_category, "annotations": found.add_annotation}
    caps = RowLimits(total_bytes=limits.json_bytes)
    cursor = JsonCursor(Pieces(io.BytesIO(data), caps, name), ITEM_BYTES, constant=float)
    try:
        for key in cursor.members():
            if key not in add:
                cursor.skip()
                continue
            for item in cursor.items():
                if not isinstance(item, dict):
                    raise ValueError(f"an item of {key!r} that is no object")
                add[key](item)
        if cursor.peek():
            raise ValueError("something after its end")
    except ValueError as error:
        refuse(f"{name} is no JSON as COCO has it ({error})", AGAIN, file=name)
    return found


def candidates(members: Members) -> list[File]:
    """JSON files whose first bytes have one of COCO's lists. Raises nothing."""
    files = [
        file for file in members.files
        if file.parts[-1].lower().endswith(".json") and file.position >= 0 and not is_junk(file.parts)
        and not any(word in file.parts[-1].lower() for word in _OTHERS)
    ]  # fmt: skip
    return sorted((file for file in files if _looks(members, file)), key=lambda file: file.parts)


def _looks(members: Members, file: File) -> bool:
    try:
        head = start(members, file, HEAD_BYTES)
    except InvalidDataset:
        return False
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" and _KEYS.search(head) is not None


def fits(members: Members) -> bool:
    """Whether a JSON file begins as COCO's do. Raises nothing."""
    return bool(candidates(members))


def read(members: Members, limits: Limits = DEFAULT) -> Reading:
    """Raises `InvalidDataset`."""
    contents, notes = _contents(members, limits)
    if not contents:
        refuse("no JSON file has annotations with boxes", AGAIN)
    order, said = _categories(list(contents.values()))
    names, numbers = _numbered(order)
    pictures = Pictures(members)
    parts, absent = dict[str, Part](), list[str]()
    for split, found in contents.items():
        parts[split] = _part(split, found, numbers, pictures, members, absent)
    every = list(contents.values())
    total = sum(len(found.images) for found in every)
    unknown = [f"image_id {key!r} of {found.name}" for found in every for key in found.boxes.keys() - found.images]
    boxless = [f"{each} of {found.name}" for found in every for each in found.boxless]
    arealess = [f"{each} of {found.name}" for found in every for each in found.arealess]
    annotations = sum(found.annotations for found in every)
    left_out = (
        LeftOut.of("images that the JSON names are not there", absent, total, "Add them, or take their entries out."),
        LeftOut.of("images with annotations have no entry among the images", sorted(unknown), total, AGAIN),
        LeftOut.of("annotations have no bbox and were left out", boxless, annotations),
        odd_areas(arealess, annotations),
        LeftOut.of("images are named by no JSON and were left out", pictures.unused(), len(pictures.files)),
    )
    return Reading(parts, names, "pixels", (*notes, *said), left_out)


def _contents(members: Members, limits: Limits) -> tuple[dict[str, Content], list[str]]:
    """The file of each split that has boxes; with notes on those that have none or are not used."""
    found, notes = dict[str, list[Content]](), list[str]()
    for file in candidates(members):
        name = "/".join(file.parts)
        each = parse(content(members, file), name, limits)
        each.check()
        if not each.boxes:
            notes.append(f"Not used: {name}, which has {len(each.images):,} images and no annotation with a box.")
            continue
        found.setdefault(_split(file), []).append(each)
    chosen = {split: _chosen(split, each) for split, each in found.items()}
    used = {id(each) for each in chosen.values()}
    notes += [f"Not used: {each.name}." for files in found.values() for each in files if id(each) not in used]
    return chosen, notes


def _split(file: File) -> str:
    """By a word of the file's own name (`person_keypoints_train2017.json`), else by its folder."""
    said = meaning(PurePosixPath(file.parts[-1]).stem)
    return said.split if said else next((split for name in reversed(file.parts[:-1]) if (split := split_of(name))), "")


def _chosen(split: str, files: Sequence[Content]) -> Content:
    """COCO has `person_keypoints_train2017.json` beside `instances_train2017.json`: the latter counts."""
    named = [each for each in files if "instances" in each.name.rpartition("/")[2].lower()]
    best = named or list(files)
    if len(best) > 1:
        which = f"the split {split!r}" if split else "images of no split"
        both = " and ".join(each.name for each in best[:3])
        refuse(f"{both} both have boxes of {which}", "Leave one, or name them after their splits (train.json).")
    return best[0]


def _categories(files: Sequence[Content]) -> tuple[list[tuple[Id, str]], list[str]]:
    """Categories of all files in the order of their ids, which have gaps. Raises `InvalidDataset` where two files mean
    different classes by one id."""
    known: dict[Id, tuple[str, str]] = {}
    for found in files:
        for number, name in found.categories.items():
            first, where = known.setdefault(number, (name, found.name))
            if first != name:
                what = f"category {number!r} is {first!r} in {where} and {name!r} in {found.name}"
                refuse(what, "Give all splits the same categories.", category=number)
    order = sorted(known, key=lambda each: (isinstance(each, str), each if isinstance(each, int) else 0, str(each)))
    names = [known[number][0] for number in order]
    twice = sorted({name for name in names if names.count(name) > 1})
    notes = [f"Several categories are called {some(twice)}: each name was read as one class."] if twice else []
    return [(number, known[number][0]) for number in order], notes


def _numbered(order: Sequence[tuple[Id, str]]) -> tuple[tuple[str, ...], dict[Id, int]]:
    names = Names()
    numbers = {number: names.number(name, "the JSON") for number, name in order}
    return tuple(names.known), numbers


def _part(
    split: str, found: Content, numbers: Mapping[Id, int], pictures: Pictures, members: Members, absent: list[str]
) -> Part:  # fmt: skip
    writer, files = Writer(), dict[int, File]()
    folder = tuple(found.name.split("/")[:-1])
    for number, file, height, width in _placed(split, found, folder, pictures, absent):
        if file.position in files:
            what = f"in {found.name} two images have the file {'/'.join(file.parts)}"
            refuse(what, "Write one image with all of its annotations.", file=found.name)
        files[file.position] = file
        place = writer.image(height, width)
        for corners, category, ignored, crowd, area in found.boxes.get(number, ()):
            writer.box(place, corners, numbers[category], ignored, crowd, area)
    return Part(members.source(list(files)), writer.done())


def _placed(
    split: str, found: Content, folder: tuple[str, ...], pictures: Pictures, absent: list[str]
) -> Iterator[tuple[Id, File, int, int]]:  # fmt: skip
    """The images that are there, in the file's order."""
    for number, (name, height, width) in found.images.items():
        file = pictures.find(name, folder, split or None)
        if file is None:
            absent.append(name)
        else:
            yield number, file, height, width
