"""Tables within an archive that name the archive's images and their classes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from distill.data.columns import LABELS, PATHS, SPLITS, find, found
from distill.data.labelled import (
    Columns,
    check_role,
    held_out,
    row_limits,
    samples,
    split_notes,
    unused_notes,
    with_image,
)
from distill.data.limits import Limits
from distill.data.row_checks import Row, refuse
from distill.data.rows import HEAD_BYTES, form_of, read_rows
from distill.data.split_names import PREDICTION, TEST, TRAIN, UNLABELLED, split_of
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members, content, start
from distill.modalities.images.kinds._beside import COLUMNS as BESIDE
from distill.modalities.images.kinds._beside import rows_beside
from distill.modalities.images.labelling import ONE_CLASS, Labelling, Numbered
from distill.modalities.images.named_files import Ambiguous, NamedFiles
from distill.modalities.images.paths import File, is_junk
from distill.modalities.images.tree import Layout
from distill.unlabelled import NO_LABEL

_PATH_BYTES = 4096


@dataclass
class Table:
    """A table of the archive: the split that its name or folder says, and where its columns are; None where they name
    no images or no classes, with `why`. `called`: what a report calls it."""

    file: File
    split: str | None
    rows: Iterator[Row] = field(default_factory=lambda: iter(()))
    columns: Columns | None = None
    why: str = ""
    called: str = "the archive's table"

    @property
    def name(self) -> str:
        return "/".join(self.file.parts)


@dataclass
class Listed:
    """What tables say: the layout, None where they say none; `notes` on tables that were not used, and why."""

    layout: Layout | None
    notes: list[str]


def listed(
    members: Members,
    limits: Limits,
    role: str = "all",
    classes: Sequence[str] | None = None,
    labelling: Labelling = ONE_CLASS,
) -> Listed:
    """The layout that tables describe.

    Looked at: tables in the root (below one folder around everything), in a folder there that has no images, or in one
    that is named after a split. Paths count from the table's own folder, from the root, or from the folder of the
    images; they may lack the ending. Where no table says classes, files `*.cls` beside the images may. `role`: the
    archive is one split, and none of its rows may say another; `classes`: the training archive's, where it is the test
    split. Raises `InvalidDataset` by row for paths that are not there.
    """
    files = NamedFiles(members.files)
    tables = [_opened(table, members, files, limits, labelling) for table in _tables(members.files)]
    chosen = _chosen(tables, role)
    notes = [f"The table {table.name!r} was not used: {table.why}." for table in tables if table.why]
    notes += [f"Not used: the table {table.name!r}." for table in tables if table.columns and table not in chosen]
    if not chosen and labelling.in_folders and (beside := rows_beside(members)) is not None:
        chosen = [Table(File(("*.cls",), -1, False), None, beside, BESIDE, called="the .cls files beside the images")]
    if not chosen:
        return Listed(None, notes)
    rows = _Rows(files, role, limits, labelling).read(chosen)
    return Listed(_layout(rows, chosen, classes, notes), [])


def _tables(files: Iterable[File]) -> list[Table]:
    """Tables with the split that their name or folder says."""
    plain = [file for file in files if not is_junk(file.parts)]
    tops = {file.parts[0] for file in plain}
    depth = 1 if len(tops) == 1 and all(len(file.parts) > 1 for file in plain) else 0
    pictured = {file.parts[depth] for file in plain if file.image and len(file.parts) > depth + 1}
    found = []
    for file in plain:
        inner = file.parts[depth:]
        if not file.is_table or file.position < 0 or len(inner) > 2:
            continue
        split = (split_of(inner[0]) if len(inner) == 2 else None) or split_of(inner[-1].rpartition(".")[0])
        if len(inner) == 1 or split_of(inner[0]) or inner[0] not in pictured:
            found.append(Table(file, split))
    return found


def _opened(table: Table, members: Members, files: NamedFiles, limits: Limits, labelling: Labelling) -> Table:
    """Read the header and first row, and find the column that names images by what the archive has."""
    form = form_of(start(members, table.file, HEAD_BYTES))
    if form != "csv" and table.file.parts[-1].lower().endswith(".json") and form == "jsonl":
        return table  # an object of settings, as many archives have them; rows are an array
    stream = io.BytesIO(content(members, table.file))
    caps = replace(row_limits(limits, _PATH_BYTES), nested=labelling.nested)
    rows = labelling.rows(read_rows(stream, form, caps, table.name), table.name)
    try:
        first = next(rows, None)
    except InvalidDataset:
        if table.file.parts[-1].lower().endswith(".json"):
            return table
        raise
    if first is None:
        return table
    path, label = _path_column(first, table, files), find(first, LABELS)
    shown = ", ".join(list(first)[:10])
    if path is None and label is not None:
        table.why = (
            f"its column {label!r} holds classes, but none of its columns ({shown}) names images; name one file_name"
        )
    elif path is not None and (columns := with_image(first, path)) is None:
        table.why = (
            f"its column {path!r} names images, but none is known to hold their classes ({shown}); name it label"
        )
    elif path is not None:
        table.columns, table.rows = columns, chain([first], rows)
    return table


def _path_column(first: Row, table: Table, files: NamedFiles) -> str | None:
    """The column of a known name whose first value names an image of the archive, else the first of a known name; where
    there is none, any column of text that names an image."""
    known, weak = found(first, PATHS), found(first, ("name", "id"))
    sure, folder = [column for column in known if column not in weak], table.file.parts[:-1]
    others = [column for column, value in first.items() if isinstance(value, str) and not value.strip().isdigit()]
    others = [] if sure else [column for column in others if column not in (*known, *found(first, (*LABELS, *SPLITS)))]
    return next((column for column in (*known, *others) if files.names_one(first[column], folder)), (*sure, None)[0])


def _chosen(tables: Sequence[Table], role: str) -> list[Table]:
    """The tables that count: those of splits, where one is of the training split; else the only one. Raises
    `InvalidDataset` where several could be meant."""
    usable = [table for table in tables if table.columns]
    named = [table for table in usable if table.split]
    if any(table.split == TRAIN for table in named) and role == "all":
        return named
    if len(usable) > 1:
        names = ", ".join(table.name for table in usable[:5])
        refuse(
            f"several tables name images and classes ({names}), none of them as the training split's",
            "Name them train.csv and test.csv, or leave one.",
            tables=[table.name for table in usable[:20]],
        )
    return usable


@dataclass
class _Rows:
    """Reads the chosen tables: split -> files with their labels; `unlabelled`: the files of rows without one;
    `disregarded`: rows with a class whose split or file is called unlabelled."""

    files: NamedFiles
    role: str
    limits: Limits
    labelling: Labelling
    found: dict[str, list[tuple[File, str]]] = field(default_factory=dict)
    unlabelled: list[File] = field(default_factory=list)
    disregarded: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def read(self, tables: Sequence[Table]) -> _Rows:
        for table in tables:
            self._read(table, self.role if self.role != "all" else table.split)
        return self

    def _read(self, table: Table, role: str | None) -> None:
        assert table.columns is not None
        for sample in samples(table.rows, table.columns, table.name):
            said = sample.split or role or TRAIN
            self.counts[said] += 1
            if said == PREDICTION or (said == UNLABELLED and self.role == TEST):
                continue
            if role:
                check_role(role, said, sample.number, table.name)
            file = self._file(sample.image, table, said, sample.number)
            if UNLABELLED in (said, role):
                self.disregarded += sample.label is not None
                self.unlabelled.append(file)
            elif sample.label is not None:
                split = TRAIN if self.role != "all" else role or said
                self.found.setdefault(split, []).append((file, sample.label))
            elif said == TRAIN:
                self.unlabelled.append(file)
            else:
                remedy = "Give the row a class, or take it out: only rows of the training split may lack one."
                refuse(f"row {sample.number} of {table.name}, of the split {said!r}, has no class", remedy)

    def _file(self, text: str, table: Table, split: str, number: int) -> File:
        shown = f"row {number} of {table.name} names {text[:200]!a}, which"
        try:
            file = self.files.find(text, table.file.parts[:-1], split)
        except Ambiguous as error:
            what = f"{shown} may be {error.first!a} or {error.second!a}"
            refuse(what, "Write the path from the table's folder.", row=number, member=text[:200])
        if file is None:
            remedy = "Add the image, take the row out, or write the path from the table's folder."
            refuse(f"{shown} the archive does not have", remedy, row=number, member=text[:200])
        return file

    def left_out(self) -> list[str]:
        """What a report says of images that no row names."""
        named = {file.position for file in self.unlabelled}
        named |= {file.position for file, _ in chain.from_iterable(self.found.values())}
        unnamed = self.files.count - len(named)
        return [f"{unnamed} images that no table names were left out."] if unnamed > 0 else []


def _layout(rows: _Rows, tables: Sequence[Table], classes: Sequence[str] | None, notes: Sequence[str]) -> Layout:
    found, several = rows.labelling.together(rows.found)
    if not found and rows.unlabelled:
        classes = ()
    elif TRAIN not in found:
        refuse(
            "its tables have no rows of the training split", "Write train in the split column of the rows to train on."
        )
    used = {name: split for name, split in held_out(found).items() if name in found}
    labels = {split: [label for _, label in found[name]] for name, split in used.items()}
    numbered = _numbered(rows, labels, classes)
    splits = {
        split: [(file, int(number)) for (file, _), number in zip(found[name], numbered.numbers[split], strict=True)]
        for name, split in used.items()
    }
    if rows.unlabelled:
        splits[UNLABELLED] = [(file, NO_LABEL) for file in sorted(rows.unlabelled, key=lambda file: file.parts)]
    counts = {name: len(files) for name, files in found.items()} | {PREDICTION: rows.counts[PREDICTION]}
    said = [f"The classes of {rows.disregarded:,} rows that are called unlabelled were not read."]
    notes = [*(said if rows.disregarded else ()), *notes]
    unused = dict.fromkeys(column for table in tables if table.columns for column in table.columns.unused)
    more = (*numbered.notes, *numbered.after)
    said = [*split_notes(counts), *rows.left_out(), *several, *unused_notes(list(unused)), *more, *notes]
    where = f"Classes were read from {tables[0].called}, not from its folders."
    return Layout(numbered.classes, splits, (where, *said))


def _numbered(rows: _Rows, labels: Mapping[str, Sequence[str]], classes: Sequence[str] | None) -> Numbered:
    """`classes`: where they are known already; () where no row has one."""
    if classes is None:
        return rows.labelling.numbered(labels, rows.limits)
    return rows.labelling.numbered_as(tuple(classes), labels)
