"""CSV or JSON with a base64 image in each row, and a class in all or some of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NoReturn

from distill.data.columns import EMBEDDED, LABELS, PATHS, find
from distill.data.files import paths_of
from distill.data.labelled import Columns, Sample, columns_of, row_limits, samples, without_label
from distill.data.limits import Limits
from distill.data.row_checks import Row, refuse
from distill.data.tables import rows_of
from distill.modalities.images.kind import Opened
from distill.modalities.images.kinds._rows import ImageRows, opened
from distill.modalities.images.labelling import ONE_CLASS, Labelling
from distill.modalities.images.pack import Pack
from distill.types import DatasetInput

_PREFIX = "data:image/"


def open_table(dataset: DatasetInput, limits: Limits, scratch: Path | None, labelling: Labelling = ONE_CLASS) -> Opened:
    """Files by role; a split column divides a file that is the whole. Images are decoded from base64 (a data URL's
    prefix may stand before it) into memory, or one file under `scratch`."""
    paths = paths_of(dataset, unlabelled=True)
    return opened(
        {role: _read(path, role, limits, scratch, labelling) for role, path in paths.items()}, limits, labelling
    )


def _read(path: Path, role: str, limits: Limits, scratch: Path | None, labelling: Labelling) -> ImageRows:
    found, name = ImageRows(role), "the file"
    caps = replace(row_limits(limits, limits.file_bytes * 4 // 3 + 100), nested=labelling.nested)
    rows = labelling.rows(rows_of(path, caps, name), name)
    first = next(rows, None)
    if first is None:
        refuse("it has no rows")
    columns = columns_of(first, EMBEDDED) or _images_alone(first) or _refuse_columns(list(first))
    with Pack(scratch) as pack:
        for sample in samples(chain([first], rows), columns, name):
            if not found.keeps(sample.split):
                continue
            pack.add(_image(sample, limits), f"row {sample.number}" if role == "all" else f"{role} row {sample.number}")
            found.add(sample.label, sample.split, sample.number, name)
        found.images = pack.finish()
    found.unused = columns.unused
    return found


def _images_alone(row: Row) -> Columns | None:
    """The columns of a table of images without labels: one with anything else unread may have its classes there."""
    image = find(row, EMBEDDED)
    columns = None if image is None else without_label(row, image)
    return None if columns is None or columns.unused else columns


def _refuse_columns(columns: Sequence[str]) -> NoReturn:
    image, path, label = find(columns, EMBEDDED), find(columns, PATHS), find(columns, LABELS)
    wanted = f"a column {EMBEDDED[0]!r} with base64 and one {LABELS[0]!r}"
    texts = "For texts name the columns `text` and `label`."
    if image and not label:
        remedy = (
            f"Name the column that holds the class `label`, beside the images in {image!r}. If the images have no "
            "classes, leave the other columns out."
        )
    elif path and label:
        remedy = f"Column {path!r} only names files: pack this table and the image files in one zip. {texts}"
    else:
        remedy = f"Name the columns `image` (the encoded image in base64) and `label`. {texts}"
    refuse(f"it needs {wanted} (its columns: {', '.join(columns)[:200]})", remedy, columns=list(columns)[:50])


def _image(sample: Sample, limits: Limits) -> bytes:
    text = sample.image.partition(",")[2] if sample.image.startswith(_PREFIX) else sample.image
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        remedy = "Write the encoded image (the bytes of a PNG or JPEG file) in base64, or pack image files in a zip."
        refuse(f"the image of row {sample.number} is no base64", remedy, row=sample.number)
    if len(data) > limits.file_bytes:
        refuse(f"the image of row {sample.number} has {len(data):,} bytes", "Scale it down.", row=sample.number)
    return data


ENTRY = open_table
