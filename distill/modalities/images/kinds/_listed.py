"""A table within an archive that names the archive's images and their classes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import PurePosixPath

from distill.data.labelled import PATHS, Sample, class_names, columns_of, held_out, label_numbers, row_limits, samples
from distill.data.limits import Limits
from distill.data.members import Parts, safe_parts
from distill.data.rows import FORMS, read_rows, refuse
from distill.data.split_names import split_of
from distill.modalities.images.kinds._members import Members, content
from distill.modalities.images.tree import File, Layout, is_junk

_PATH_BYTES = 4096
Rows = dict[str, list[tuple[File, str]]]


def listed(members: Members, limits: Limits, part: bool = False, classes: Sequence[str] | None = None) -> Layout | None:
    """The layout that tables describe; None where there is no table, or none with columns for image and label.

    Looked at: one table in the root (below one folder around everything), or tables there and one folder below that
    are named, or lie in folders named, after splits. Paths count from the table's own folder. `part`: the archive is
    one split, whatever its rows say, with the training archive's `classes` if it is the test split. Raises
    `InvalidDataset` by row for paths that are not there.
    """
    present = {file.parts: file for file in members.files if file.position >= 0}
    rows: Rows = {}
    for table, split in _tables(members.files, part):
        for sample, file in _rows(table, members, present, limits):
            rows.setdefault("train" if part else split or sample.split, []).append((file, sample.label))
    return _layout(rows, limits, classes) if rows else None


def _tables(files: Iterable[File], part: bool) -> list[tuple[File, str | None]]:
    """Tables with the split that their name or folder says."""
    plain = [file for file in files if not is_junk(file.parts)]
    tops = {file.parts[0] for file in plain}
    depth = 1 if len(tops) == 1 and all(len(file.parts) > 1 for file in plain) else 0
    found = []
    for file in plain:
        inner, name = file.parts[depth:], PurePosixPath(file.parts[-1])
        if name.suffix.lower() not in FORMS or len(inner) > 2 or file.position < 0:
            continue
        split = split_of(inner[0]) if len(inner) == 2 else split_of(name.stem)
        if split or len(inner) == 1:
            found.append((file, split))
    named = [entry for entry in found if entry[1]]
    if any(split == "train" for _, split in named) and not part:
        return named
    return found if len(found) == 1 else []


def _rows(table: File, members: Members, present: dict[Parts, File], limits: Limits) -> Iterable[tuple[Sample, File]]:
    name = "/".join(table.parts)
    stream = io.BytesIO(content(members, table))
    rows = read_rows(stream, FORMS[PurePosixPath(name).suffix.lower()], row_limits(limits, _PATH_BYTES))
    first = next(rows, None)
    columns = columns_of(first, PATHS) if first is not None else None
    if first is None or columns is None:
        return
    for sample in samples(chain([first], rows), columns, name):
        parts = (*table.parts[:-1], *safe_parts(sample.image, limits))
        if parts not in present:
            what = f"row {sample.number} of {name} names {sample.image[:200]!a}, which the archive does not have"
            refuse(what, row=sample.number, member=sample.image[:200])
        yield sample, present[parts]


def _layout(rows: Rows, limits: Limits, classes: Sequence[str] | None) -> Layout:
    if "train" not in rows:
        refuse("its tables have no rows of the training split")
    used = {name: split for name, split in held_out(set(rows)).items() if name in rows}
    known = tuple(classes) if classes is not None else class_names((label for _, label in rows["train"]), limits)
    splits = {split: _labelled(rows[name], known, split) for name, split in used.items()}
    unused = [f"Not used: the split {name!r}." for name in sorted(set(rows) - set(used))]
    return Layout(known, splits, ("Classes were read from the archive's table, not from its folders.", *unused))


def _labelled(rows: list[tuple[File, str]], classes: Sequence[str], split: str) -> list[tuple[File, int]]:
    numbers = label_numbers([label for _, label in rows], classes, split)
    return [(file, int(number)) for (file, _), number in zip(rows, numbers, strict=True)]
