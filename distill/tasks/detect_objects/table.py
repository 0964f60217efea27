"""A table of boxes among images: a row a box, as TensorFlow's tutorials and Open Images have it. Torch-free.

Names of columns say what the numbers are (`FOURS`, `WAYS`): pixels, or shares of the image's sides where every number
lies in 0 to 1; corners are read as they stand. What a registration says of the numbers (`box_format`) counts before
names and values.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import nan

from distill.data.columns import LABELS, PATHS, find
from distill.data.labelled import SplitColumns, label_of, row_limits, split_columns, unused_columns, unused_notes
from distill.data.limits import DEFAULT, Limits
from distill.data.row_checks import Cell, Row
from distill.data.rows import HEAD_BYTES, form_of, read_rows
from distill.data.split_names import TRAIN, split_of
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members, content, start
from distill.modalities.images.paths import File, is_junk
from distill.tasks.detect_objects.box_columns import FOURS, NOTHING, WAYS, Told, named, way_of
from distill.tasks.detect_objects.pictures import Pictures
from distill.tasks.detect_objects.written import Corners, LeftOut, Names, Part, Reading, Writer, as_float, refuse

BOX = ("bbox", "box", "bounding_box", *named())
"""One column of `[x, y, width, height]`, as COCO has it, or as its name says."""
_SIZE = (("height", "width"), ("image_height", "image_width"))
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_PATH_BYTES = 2**16
REMEDY = "Write the columns filename, class, xmin, ymin, xmax, ymax: a row a box, corners in pixels."


@dataclass(frozen=True, slots=True)
class Columns:
    """`four`: columns of one number each, or one `box`; `way`: of `WAYS`, as the names say it. `size`: of the image's
    height and width, where there are such."""

    image: str
    label: str | None
    four: tuple[str, ...]
    box: str | None
    way: str
    size: tuple[str, str] | None
    split: SplitColumns | None
    unused: tuple[str, ...]


def columns_of(row: Row) -> Columns | None:
    """Where a table with this first row has boxes; None where it has none."""
    names = list(row)
    way, four = _four(names)
    box = None if four else find(names, BOX)
    image = find(names, PATHS)
    if image is None or not (four or box):
        return None
    others = [name for name in names if name not in (image, box, *four)]
    label = find(others, LABELS)
    size = next(((found[0], found[1]) for known in _SIZE if len(found := _all(others, known)) == 2), None)
    split = split_columns([name for name in names if name != label], row)
    read = [image, label, *four, box, *(size or ())]
    return Columns(image, label, four, box, way if four else _way(box), size, split, unused_columns(names, read, split))


def _four(names: list[str]) -> tuple[str, tuple[str, ...]]:
    """The four columns of a box and what they are; of several ways corners count first."""
    each = ((way, tuple(_all(names, known))) for way, all_known in FOURS.items() for known in all_known)
    return next(((way, found) for way, found in each if len(found) == 4), ("", ()))


def _way(box: str | None) -> str:
    return way_of(box or "") or "xywh"


def _all(names: list[str], wanted: Iterable[str]) -> list[str]:
    return [name for each in wanted if (name := find(names, (each,)))]


def tables(members: Members) -> list[File]:
    """Tables with boxes, in path order. Raises nothing."""
    files = [
        file for file in members.files
        if file.parts[-1].lower().endswith(_TABLES) and file.position >= 0 and not is_junk(file.parts)
    ]  # fmt: skip
    return sorted((file for file in files if _has_boxes(members, file)), key=lambda file: file.parts)


def fits(members: Members) -> bool:
    """Whether a table has columns of images and corners. Raises nothing."""
    return bool(tables(members))


def _has_boxes(members: Members, file: File) -> bool:
    try:
        head = start(members, file, HEAD_BYTES)
        first = next(iter(_rows(head, file, DEFAULT)), None)
    except InvalidDataset:
        return False
    return first is not None and columns_of(first) is not None


def _rows(data: bytes, file: File, limits: Limits) -> Iterator[Row]:
    """A cell that is not a number of JSON may be `[x, y, width, height]`."""
    caps = row_limits(limits, _PATH_BYTES)
    form = form_of(data[:HEAD_BYTES])
    return read_rows(io.BytesIO(data), form, caps, "/".join(file.parts))


@dataclass
class _Split:
    writer: Writer = field(default_factory=Writer)
    files: dict[int, tuple[File, int]] = field(default_factory=dict)  # position in the archive -> place in the split

    def place(self, file: File, size: tuple[int, int]) -> int:
        if file.position not in self.files:
            self.files[file.position] = (file, self.writer.image(*size))
        return self.files[file.position][1]


@dataclass
class _Reader:
    members: Members
    limits: Limits
    pictures: Pictures
    told: Told = NOTHING
    names: Names = field(default_factory=Names)
    splits: dict[str, _Split] = field(default_factory=dict)
    absent: dict[str, None] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)
    images: dict[str, File | None] = field(default_factory=dict)

    def read(self, file: File) -> None:
        name = "/".join(file.parts)
        stem = file.parts[-1].rpartition(".")[0]
        whole = split_of(stem) or next((s for folder in reversed(file.parts[:-1]) if (s := split_of(folder))), "")
        columns = None
        for number, row in enumerate(_rows(content(self.members, file), file, self.limits), 1):
            if columns is None:
                columns = columns_of(row)
                assert columns is not None  # `tables` has looked
                self.unused |= dict.fromkeys(columns.unused)
            self._row(row, columns, number, file, name, whole)

    def _row(self, row: Row, columns: Columns, number: int, file: File, name: str, whole: str) -> None:
        split = columns.split.read(row, number, name) if columns.split else whole
        text = str(row.get(columns.image) or "").strip()
        if not text:
            refuse(f"row {number} of {name} names no image", REMEDY, row=number)
        image = self.pictures.find(text, file.parts[:-1], split or None)
        if image is None:
            self.absent[text] = None
            return
        held = self.splits.setdefault(split, _Split())
        place = held.place(image, self._size(row, columns))
        label = label_of(row.get(columns.label)) if columns.label else "object"
        corners = _corners(row, columns, self.told, number, name)
        if corners is None and label_of(row.get(columns.label or "")) is None:
            return  # an image without objects, as Keras' RetinaNet writes it
        if corners is None or label is None:
            missing = "class" if corners else "corners"
            refuse(f"row {number} of {name} has no {missing}", REMEDY, row=number)
        held.writer.box(place, corners, self.names.number(label, f"row {number} of {name}"))

    def _size(self, row: Row, columns: Columns) -> tuple[int, int]:
        if columns.size is None:
            return 0, 0
        height, width = (_number(row.get(name)) for name in columns.size)
        good = height is not None and width is not None and 0 < height < 10**9 and 0 < width < 10**9
        return (int(height or 0), int(width or 0)) if good else (0, 0)


def _corners(row: Row, columns: Columns, told: Told, number: int, name: str) -> Corners | None:
    """x1 y1 x2 y2, None where the row has none. Raises `InvalidDataset` for values that are no numbers."""
    values: list[Cell] = [row.get(column) for column in columns.four] or _list(row.get(columns.box or ""))
    if all(value is None or value == "" for value in values):
        return None
    numbers = [_number(value) for value in values]
    if len(numbers) != 4 or any(value is None for value in numbers):
        shown = ", ".join(str(value)[:20] for value in values[:6])
        refuse(f"row {number} of {name} has the corners {shown}, not four numbers", REMEDY, row=number)
    one, two, three, four = (nan if value is None else value for value in numbers)
    return WAYS[told.way or columns.way]((one, two, three, four))


def _list(value: Cell) -> list[Cell]:
    """Four numbers written as text in brackets."""
    try:
        found = json.loads(value) if isinstance(value, str) and value.strip() else None
    except (ValueError, RecursionError):
        return [value]
    return found if isinstance(found, list) else [found]


def _number(value: Cell) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else as_float(value)
    except ValueError:
        return None


def read(members: Members, limits: Limits = DEFAULT, told: Told = NOTHING) -> Reading:
    """Raises `InvalidDataset`."""
    reader = _Reader(members, limits, Pictures(members), told)
    found = tables(members)
    by_split = [file for file in found if split_of(file.parts[-1].rpartition(".")[0])]
    used = by_split if any(split_of(file.parts[-1].rpartition(".")[0]) == TRAIN for file in by_split) else found
    for file in used:
        reader.read(file)
    if not reader.splits:
        refuse(
            f"no image that the table names is there ({next(iter(reader.absent), 'it has no rows')[:100]!r})", REMEDY
        )
    classes, numbers = reader.names.in_order()
    parts = {
        split: Part(members.source(list(each.files)), each.writer.done(numbers))
        for split, each in reader.splits.items()
    }
    pictures = reader.pictures
    images = sum(len(each.files) for each in reader.splits.values())
    left_out = (
        LeftOut.of("images that the table names are not there", list(reader.absent), images + len(reader.absent),
                "Add them, or take their rows out."),
        LeftOut.of("images are named by no row and were left out", pictures.unused(), len(pictures.files)),
    )  # fmt: skip
    notes = [f"Not used: {'/'.join(file.parts)}." for file in found if file not in used]
    return Reading(parts, classes, told.form or "told", (*notes, *unused_notes(list(reader.unused))), left_out)
