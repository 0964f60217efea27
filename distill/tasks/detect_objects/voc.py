"""Pascal VOC: an XML file an image, lists of splits in `ImageSets/Main`. Torch-free.

VOC counts pixels from 1 and names the first and the last one that belong to the object. So (xmin, ymin, xmax, ymax)
becomes x1 = xmin - 1, y1 = ymin - 1, x2 = xmax, y2 = ymax, as Detectron2 reads it: the box of the whole image has its
size, and xmin = xmax is one pixel. Where any xmin or ymin of the dataset is below 1 its author did not count from 1,
and the numbers are corners as they stand (**our choice**; a note says it). torchvision hands the numbers out unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from distill.data.split_names import split_of
from distill.modalities.images.archives.members import Members, content
from distill.modalities.images.paths import File, is_junk
from distill.modalities.images.split_lists import HELD_OUT_FIRST, Lists, read_lists
from distill.tasks.detect_objects.marks import marked
from distill.tasks.detect_objects.pictures import Pictures
from distill.tasks.detect_objects.written import LeftOut, Names, Part, Reading, Writer, Written, refuse, some

MOST_BYTES = 4 * 2**20
"""Of one XML file: ten thousand boxes take about 3 MiB."""
AGAIN = "Write one <annotation> a file with <object><name/><bndbox><xmin/><ymin/><xmax/><ymax/></bndbox></object>."
_ABSENT = "XML files have no image and were left out"


@dataclass(frozen=True, slots=True)
class Object:
    """One `<object>`: its numbers as they are written."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """One file. `size`: (height, width) that it states, 0 where it states none; `boxless`: objects without a box."""

    filename: str
    size: tuple[int, int]
    objects: tuple[Object, ...]
    boxless: int


def xml_files(files: list[File]) -> list[File]:
    """XML files, in path order."""
    found = [file for file in files if file.parts[-1].lower().endswith(".xml") and not is_junk(file.parts)]
    return sorted((file for file in found if file.position >= 0), key=lambda file: file.parts)


def fits(members: Members) -> bool:
    """Whether an XML file has an image's name. Raises nothing."""
    stems = {PurePosixPath(file.parts[-1]).stem for file in members.files if file.image and not is_junk(file.parts)}
    return any(PurePosixPath(file.parts[-1]).stem in stems for file in xml_files(members.files))


def parse(data: bytes, name: str) -> Annotation | None:
    """The annotation in an XML file, None for XML of something else. Raises `InvalidDataset` for what is no XML, has a
    document type (entities may grow without end) or a box without numbers."""
    if len(data) > MOST_BYTES:
        refuse(f"{name} has {len(data):,} bytes, more than {MOST_BYTES:,}", "Write one XML file an image.", file=name)
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        what = f"{name} defines a document type or entities ({type(error).__name__}), which no annotation needs"
        refuse(what, "Remove the <!DOCTYPE ...> of the file.", file=name)
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that Python does not know
        refuse(f"{name} is no XML ({str(error)[:100]})", AGAIN, file=name)
    if root.tag != "annotation":
        return None
    objects = list(root.findall("object"))
    boxes = [each for each in objects if each.find("bndbox") is not None]
    size = (_whole(root, "size/height"), _whole(root, "size/width"))
    found = tuple(_object(each, name) for each in boxes)
    return Annotation(_text(root, "filename"), size, found, len(objects) - len(boxes))


def _object(element: Element, file: str) -> Object:
    name = _text(element, "name")
    if not name:
        refuse(f"an object of {file} has no name", AGAIN, file=file)
    one, two, three, four = (_number(element, f"bndbox/{end}", file) for end in ("xmin", "ymin", "xmax", "ymax"))
    return Object(name, (one, two, three, four), marked(_text(element, "difficult"), "difficult", file))


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: Element, path: str, file: str) -> float:
    text = _text(element, path)
    try:
        return float(text)
    except ValueError:
        refuse(f"{path} of an object of {file} is {text[:40]!r}, no number", AGAIN, file=file)


def _whole(element: Element, path: str) -> int:
    text = _text(element, path)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


@dataclass
class _Reader:
    """Gathers the files of all splits."""

    members: Members
    pictures: Pictures
    lists: Lists
    names: Names = field(default_factory=Names)
    parts: dict[str, tuple[list[File], Writer]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    boxless: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unlisted: int = 0
    files: int = 0

    def __post_init__(self) -> None:
        self._split: dict[str, str] = {}
        for split in sorted(self.lists, key=HELD_OUT_FIRST.index):
            for name in dict.fromkeys(map(_stem, self.lists[split])):
                if self._split.setdefault(name, split) != split:
                    self.twice.append(name)
        self._seen: dict[int, str] = {}

    def read(self, file: File) -> None:
        path = "/".join(file.parts)
        found = parse(content(self.members, file), path)
        if found is None:
            self.others.append(path)
            return
        self.files += 1
        if (image := self._image(file, found)) is None:
            self.absent.append(path)
            return
        if (other := self._seen.setdefault(image.position, path)) != path:
            what = f"{other} and {path} are annotations of one image, {'/'.join(image.parts)}"
            refuse(what, "Keep one of them.", files=[other, path])
        self._add(self._of(file, image), image, found, path)

    def _image(self, file: File, found: Annotation) -> File | None:
        """By the file's own name first: who renames images renames their XML files, not what is in them."""
        split = next((said for folder in reversed(file.parts[:-1]) if (said := split_of(folder))), None)
        stem = _stem(file.parts[-1])
        beside = self.pictures.beside(file, stem)
        image = beside or self.pictures.find(stem, file.parts[:-1], split)
        return image or (self.pictures.find(found.filename, file.parts[:-1], split) if found.filename else None)

    def _of(self, file: File, image: File) -> str:
        """The image's split: by the lists, else by a folder of the annotation or the image; "" for none."""
        if self.lists:
            return self._split.get(_stem(image.parts[-1]), "")
        folders = (*reversed(file.parts[:-1]), *reversed(image.parts[:-1]))
        return next((split for folder in folders if (split := split_of(folder))), "")

    def _add(self, split: str, image: File, found: Annotation, path: str) -> None:
        files, writer = self.parts.setdefault(split, ([], Writer()))
        files.append(image)
        place = writer.image(*found.size)
        self.boxless += [path] * bool(found.boxless)
        for each in found.objects:
            writer.box(place, each.corners, self.names.number(each.name, path), ignored=each.difficult)

    def notes(self) -> list[str]:
        told = (
            (self.twice, "images are in several lists, and are held out"),
            (self.others, "XML files are no annotations and were not used"),
            (self.boxless, "XML files have objects without a box, which were left out"),
        )
        return [f"{len(names)} {what}: {some(names)}." for names, what in told if names]


def read(members: Members) -> Reading:
    """Raises `InvalidDataset`."""
    pictures = Pictures(members)
    reader = _Reader(members, pictures, read_lists(members.files, lambda file: content(members, file), "", "main"))
    for file in xml_files(members.files):
        reader.read(file)
    if not reader.parts:
        _nothing(reader)
    classes, numbers = reader.names.in_order()
    written = {split: writer.done(numbers) for split, (_, writer) in reader.parts.items()}
    first = min(float(each.corners[:, :2].min(initial=np.inf)) for each in written.values())
    counted = (
        [] if first < 1 else ["Corners were read as Pascal VOC counts them: pixels from 1, the last one included."]
    )
    if first < 1:
        counted = [f"Corners were read as they stand, not counted from 1: the least xmin or ymin is {first:g}."]
    parts = {
        split: Part(members.source([file.position for file in files]), _shifted(written[split], first >= 1))
        for split, (files, _) in reader.parts.items()
    }
    remedy = "Add the images, or take their XML files out."
    left_out = (
        LeftOut.of(_ABSENT, reader.absent, reader.files, remedy),
        LeftOut.of("images have no XML file and were left out", pictures.unused(), len(pictures.files)),
        LeftOut.of("names in the lists of ImageSets have no annotation", _unheard(reader), _listed(reader.lists)),
    )
    return Reading(parts, classes, "pixels", (*counted, *reader.notes()), left_out)


def _shifted(written: Written, counted: bool) -> Written:
    if counted:
        written.corners[:, :2] -= 1
    return written


def _unheard(reader: _Reader) -> list[str]:
    """Names in lists that no annotation has an image for."""
    known = {_stem(file.parts[-1]) for files, _ in reader.parts.values() for file in files}
    return [name for names in reader.lists.values() for name in dict.fromkeys(map(_stem, names)) if name not in known]


def _listed(lists: Mapping[str, Any]) -> int:
    return sum(map(len, lists.values()))


def _stem(name: str) -> str:
    """Without folders, and without the ending of an image or XML file: VOC's names may hold dots."""
    last = PurePosixPath(name)
    return last.stem if last.suffix.lower() in _ENDINGS else last.name


_ENDINGS = frozenset({".xml", ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})


def _nothing(reader: _Reader) -> NoReturn:
    shown = some(reader.absent or reader.others)
    refuse(f"no XML file is the annotation of an image that is there ({shown})", AGAIN)
