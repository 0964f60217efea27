"""Parquet with an encoded image and its objects a row: the column `objects` of the Hugging Face hub. Torch-free.

`objects` is a struct of lists or a list of structs with `bbox` and `category`, maybe `area`, `iscrowd`, `ignore`; the
lists may also be columns of their own. `bbox` is x y width height, as COCO has it, unless its name ends on `xyxy` or
`cxcywh`, or the images say that the numbers are corners (`distill.tasks.detect_objects.units`); one whose name ends on
`xywh` is nothing else. What a registration says of the numbers (`box_format`) counts before all of this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.columns import find
from distill.data.labelled import SplitColumns, check_role, label_of, split_columns, unused_columns, unused_notes
from distill.data.limits import Limits
from distill.data.parquet import ParquetLimits, parquet_file
from distill.data.split_names import UNLABELLED, split_of
from distill.modalities.images.embedded import cells, check_ratio, column, content, leaves, shards
from distill.modalities.images.pack import Pack
from distill.modalities.images.sources import Picked, SpanImages
from distill.tasks.detect_objects.box_columns import NOTHING, WAYS, Told, named, way_of
from distill.tasks.detect_objects.marks import area_of, marked, odd_areas
from distill.tasks.detect_objects.written import Form, Names, Part, Reading, Writer, as_float, refuse

IMAGE = ("image", "img", "pixel_values")
OBJECTS = ("objects", "object", "annotations", "annotation", "labels", "detections")
BOXES = ("bbox", "bboxes", "boxes", "box", *named())
CATEGORIES = (
    *("category", "categories", "label", "labels", "class", "classes", "category_id", "class_id", "class_label"),
    *("category_name", "class_name", "name", "names"),
)
AREAS, CROWDS, IGNORED = ("area", "areas"), ("iscrowd", "is_crowd", "crowd"), ("ignore", "ignored", "difficult")
EMBED = (
    "Write the files' bytes into the table: `dataset.with_format('arrow').map(datasets.table.embed_table_storage, "
    "batched=True)` before `to_parquet`."
)
REMEDY = "Write a column `image` and a column `objects` of `bbox` ([x, y, width, height] each) and `category`."
_ROWS = 32
_FORMS: dict[str | None, Form] = {None: "xywh", "xyxy": "pixels", "xywh": "told", "cxcywh": "told"}
"""By what the column's name says (`WAYS`): what its boxes are, once they are corners where the name says how."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a file has what: `objects` is the column of all, None where they are columns of their own."""

    image: str
    objects: str | None
    box: str
    category: str | None
    area: str | None
    crowd: str | None
    ignore: str | None
    names: tuple[str, ...] | None
    split: SplitColumns | None
    unused: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Besides the image, the columns that hold objects."""
        own = [name for name in (self.box, self.category, self.area, self.crowd, self.ignore) if name]
        return [self.objects] if self.objects else own


def has_objects(path: Path) -> bool:
    """Whether the files have a column of images and one of boxes. False for what cannot be read."""
    with suppress(OSError, ValueError, pa.ArrowException, IndexError):
        schema = pq.read_schema(shards(path)[0])
        return column(schema, IMAGE) is not None and _where(schema) is not None
    return False


def _where(schema: Any) -> tuple[str | None, list[str]] | None:
    """The column of objects with the fields in it, or None with all columns; None where there are no boxes."""
    for name in (found for each in OBJECTS if (found := find(schema.names, (each,)))):
        fields = _fields(schema.field(name).type)
        if find(fields, BOXES):
            return name, fields
    flat = find(schema.names, BOXES)
    return (None, list(schema.names)) if flat and _is_list(schema.field(flat).type) else None


def _fields(kind: Any) -> list[str]:
    kind = kind.value_type if _is_list(kind) else kind
    return [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


@dataclass
class _Split:
    writer: Writer = field(default_factory=Writer)
    rows: list[int] = field(default_factory=list)


@dataclass
class _Reader:
    """All files of a role."""

    role: str
    limits: Limits
    told: Told = NOTHING
    names: Names = field(default_factory=Names)
    splits: dict[str, _Split] = field(default_factory=dict)
    named: tuple[str, ...] = ()  # classes as the metadata name them
    form: Form | None = None
    unused: dict[str, None] = field(default_factory=dict)
    skipped: int = 0
    arealess: list[str] = field(default_factory=list)  # where an area is stated that is none
    annotations: int = 0

    def read(self, path: Path, whole: str | None, pack: Pack) -> None:
        caps = ParquetLimits(self.limits.members, self.limits.row_group_bytes, self.limits.total_bytes)
        with parquet_file(path, caps) as file:
            fields = _find(file, whole)
            form = self.told.form or _FORMS[way_of(fields.box)]
            if self.form not in (None, form):
                refuse(f"{path.name} has its boxes in another form than the files before it", REMEDY, file=path.name)
            self.form, self.unused = form, self.unused | dict.fromkeys(fields.unused)
            self.named = self.named or fields.names or ()
            for name in fields.names or ():
                self.names.number(name, path.name)
            for number, (image, row) in enumerate(_rows(file, fields)):
                split = whole or (fields.split.read(row, number, path.name) if fields.split else "")
                check_role(self.role, split or None, number, path.name)
                if split == UNLABELLED:
                    self.skipped += 1
                    continue
                held = self.splits.setdefault(split, _Split())
                held.rows.append(len(pack))
                pack.add(content(image, "image", number, self.limits, refuse, EMBED), f"{path.name} row {number}")
                place = held.writer.image(*_size(row))
                for each in _objects(row, fields, number, path.name):
                    self._add(held.writer, place, each, fields, f"row {number} of {path.name}")

    def _add(self, writer: Writer, place: int, each: Mapping[str, Any], fields: Fields, where: str) -> None:
        box = each.get("box")
        numbers = isinstance(box, Sequence) and all(isinstance(value, int | float) for value in box)
        if not isinstance(box, Sequence) or not numbers or len(box) != 4:
            refuse(f"a bbox of {where} is not four numbers: {str(box)[:60]}", REMEDY)
        label = _label(each.get("category"), fields, where)
        area = area_of(each.get("area"))
        self.arealess += [where] * (each.get("area") is not None and isnan(area))
        self.annotations += 1
        ignored, crowd = (marked(each.get(key), key, f"an object of {where}") for key in ("ignore", "crowd"))
        way = self.told.way or way_of(fields.box)
        one, two, three, four = map(as_float, box)
        corners = WAYS[way]((one, two, three, four)) if way else (one, two, three, four)
        writer.box(place, corners, self.names.number(label, where), ignored, crowd, area)


def open_objects(
    path: Path, role: str, limits: Limits, scratch: Path | None, told: Told = NOTHING
) -> Reading:  # fmt: skip
    """The images and boxes of a role's files: one, or a folder of shards, whose names may say splits. Raises
    `InvalidDataset`."""
    files = shards(path)
    if not files:
        refuse("the folder holds no *.parquet files", "Name a parquet file, or a folder of them.")
    reader = _Reader(role, limits, told)
    by_name = path.is_dir() and role == "all" and all(split_of(file.stem) for file in files)
    with Pack(scratch) as pack:
        for file in files:
            reader.read(file, split_of(file.stem) if by_name else None, pack)
            check_ratio(pack.total_bytes, files, limits, refuse)
        images = pack.finish()
    return _reading(reader, images)


def _reading(reader: _Reader, images: SpanImages) -> Reading:
    classes, numbers = reader.names.in_order()
    if reader.named:  # in the order of their numbers
        classes = tuple(dict.fromkeys((*reader.named, *reader.names.known)))
        place = {name: i for i, name in enumerate(classes)}
        numbers = np.array([place[name] for name in reader.names.known], np.int64)
    parts = {
        split: Part(Picked(images, np.array(held.rows, np.int64)), held.writer.done(numbers))
        for split, held in reader.splits.items()
    }
    notes = unused_notes(list(reader.unused))
    notes += [f"Not used: {reader.skipped:,} rows of the split 'unlabelled'."] if reader.skipped else []
    areas = odd_areas(reader.arealess, reader.annotations)
    return Reading(parts, classes, reader.form or "xywh", tuple(notes), (areas,))


def _find(file: Any, whole: str | None) -> Fields:
    """Raises `InvalidDataset` where the file has no images, or no boxes."""
    schema = file.schema_arrow
    image, where = column(schema, IMAGE), _where(schema)
    if image is None or where is None:
        refuse(f"the parquet file has no column of images with boxes (its columns: {schema.names[:10]})", REMEDY)
    objects, fields = where
    fields = [name for name in fields if name != image]
    box, category = find(fields, BOXES), find(fields, CATEGORIES)
    assert box is not None  # `_where` has looked
    area, crowd, ignore = (find(fields, names) for names in (AREAS, CROWDS, IGNORED))
    read = [image, objects, *((box, category, area, crowd, ignore) if objects is None else ()), *_SIZE]
    plain = [name for name in schema.names if name not in read and not pa.types.is_nested(schema.field(name).type)]
    first = next(file.iter_batches(batch_size=1, columns=plain), None) if plain and not whole else None
    rows = first.to_pylist() if first is not None else []
    split = split_columns(plain, rows[0] if rows else {})
    return Fields(
        image, objects, box, category, area, crowd, ignore, _class_names(schema, objects, category), split,
        unused_columns(schema.names, [*read, "image_id"], split),
    )  # fmt: skip


_SIZE = ("height", "width")


def _class_names(schema: Any, objects: str | None, category: str | None) -> tuple[str, ...] | None:
    """Names of the `ClassLabel` that the metadata of `datasets` have for the field of categories, however deep."""
    features: Any = {}
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        features = json.loads((schema.metadata or {}).get(b"huggingface", b""))["info"]["features"]
    if not isinstance(features, Mapping) or category is None:
        return None
    found = _named(features.get(objects) if objects else features, category, 8)
    names = found.get("names") if isinstance(found, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    if len(set(names)) < len(names):
        refuse("the metadata name a class twice", "Give each class of the ClassLabel another name.", names=names[:50])
    return tuple(names)


def _named(feature: Any, name: str, depth: int) -> Any:
    """The `ClassLabel` at or below the field `name`, through lists and sequences."""
    if isinstance(feature, list):
        return _named(feature[0], name, depth - 1) if feature and depth else None
    if not isinstance(feature, Mapping) or not depth:
        return None
    if name in feature:
        return _label_feature(feature[name], depth)
    inner = feature.get("feature")
    return _named(inner, name, depth - 1) if inner is not None else None


def _label_feature(feature: Any, depth: int) -> Any:
    if isinstance(feature, list):
        return _label_feature(feature[0], depth - 1) if feature and depth else None
    if isinstance(feature, Mapping) and "names" not in feature and depth:
        return _label_feature(feature.get("feature"), depth - 1)
    return feature


def _rows(file: Any, fields: Fields) -> Iterator[tuple[tuple[bytes | None, str | None], dict[str, Any]]]:
    """Each row's image and the columns that are read of it."""
    said = [name for name in (fields.split.name, *fields.split.flags) if name] if fields.split else []
    schema = file.schema_arrow
    plain = [*fields.columns, *said, *(name for name in _SIZE if name in schema.names)]
    wanted = [*leaves(fields.image, schema.field(fields.image).type), *plain]
    for batch in file.iter_batches(batch_size=_ROWS, columns=wanted):
        values = {name: batch.column(name).to_pylist() for name in plain}
        for i, image in enumerate(cells(batch.column(fields.image))):
            yield image, {name: values[name][i] for name in plain}


def _size(row: Mapping[str, Any]) -> tuple[int, int]:
    height, width = (row.get(name) for name in _SIZE)
    good = isinstance(height, int) and isinstance(width, int) and 0 < height < 10**9 and 0 < width < 10**9
    return (height, width) if good else (0, 0)  # type: ignore[return-value]


def _objects(row: Mapping[str, Any], fields: Fields, number: int, file: str) -> list[dict[str, Any]]:
    """One mapping an object: `box`, `category`, `area`, `crowd`, `ignore`. Raises `InvalidDataset` where the lists of
    a row have different lengths."""
    held = row if fields.objects is None else row[fields.objects]
    roles = {
        "box": fields.box, "category": fields.category, "area": fields.area, "crowd": fields.crowd,
        "ignore": fields.ignore,
    }  # fmt: skip
    if isinstance(held, list):
        return [{role: (each or {}).get(name) for role, name in roles.items() if name} for each in held]
    lists = {role: (held or {}).get(name) or [] for role, name in roles.items() if name}
    lengths = {role: len(values) for role, values in lists.items() if role in ("box", "category") or values}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{length} of {role}" for role, length in lengths.items())
        refuse(f"row {number} of {file} has lists of different lengths ({shown})", REMEDY, row=number, file=file)
    count = lengths["box"]
    return [{role: values[i] for role, values in lists.items() if values} for i in range(count)]


def _label(value: Any, fields: Fields, where: str) -> str:
    if fields.category is None:
        return "object"
    if fields.names is not None and isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < len(fields.names):
            what = (
                f"an object of {where} has the category {value}, which is none of the {len(fields.names)} class names"
            )
            refuse(what, "Write the numbers or the names anew.", category=value)
        return fields.names[value]
    label = label_of(value)
    if label is None:
        refuse(f"an object of {where} has no category", REMEDY)
    return label
