"""One pass over the shards of a dataset: its index, and with it every fault of a shard by name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from distill.data.labelled import held_out, split_notes
from distill.data.limits import Limits
from distill.data.members import Parts
from distill.data.split_names import PREDICTION, TEST, TRAIN, UNLABELLED, splits_among
from distill.data.stratify import HOLD_OUT
from distill.errors import InvalidDataset
from distill.modalities.images.formats import HEAD_BYTES
from distill.modalities.images.labelling import ONE_CLASS
from distill.modalities.images.shards.class_folders import arranged
from distill.modalities.images.shards.class_list import ClassList, class_list
from distill.modalities.images.shards.class_shards import HINT, class_stems, in_class, may_be_classes, note_of
from distill.modalities.images.shards.index import COLUMNS, Index, joined
from distill.modalities.images.shards.parquet_rows import read_rows
from distill.modalities.images.shards.places import Named, Places
from distill.modalities.images.shards.record import Record, Shard, is_parquet
from distill.modalities.images.shards.refusal import check_head, refuse
from distill.modalities.images.shards.webdataset import read_tar
from distill.modalities.images.sources import UnreadableImage, finished, opened, peak
from distill.types import ClassesFrom
from distill.unlabelled import NO_LABEL

SALT = b"retort lot 1\n"
TEST_SALT = b"retort test 1\n"
LEFT_OUT = ""
"""The split of samples that are not used."""


def lot(key: str, salt: bytes = SALT) -> float:
    """A number in [0, 1) that the key alone decides: its sha256's first 53 bits, as a fraction."""
    return (int.from_bytes(hashlib.sha256(salt + key.encode()).digest()[:8], "big") >> 11) / 2**53


def build_index(
    roles: Mapping[str, Sequence[str]], limits: Limits, scratch: Path | None, places: Places | None = None,
    classes: Sequence[str] | None = None, classes_from: ClassesFrom = "",
) -> Index:  # fmt: skip
    """Read every shard once, whole: sha256 of each shard and each image, the head of each image; and decode images as
    long as each shard's equal share of `limits.verify_pixels` lasts. `roles`: `all`, or `train` with or without
    `test` -> names of shards. `places`: where they are found, None: by their names. `classes`: what numbers of labels
    mean, None: what a file beside the first shard says. `classes_from`: as in `DatasetInput`. Raises `InvalidDataset`,
    and what `places` does."""
    named = [(role, name) for role, names in roles.items() for name in names]
    by_shard = classes_from == "shards"
    splits = {role: {} if by_shard or role != "all" else _splits_by_name(names) for role, names in roles.items()}
    stems = {name: stem for names in roles.values() for name, stem in class_stems(names).items()} if by_shard else {}
    meaning = class_list([name for _, name in named]) if places is None else ClassList(classes)
    building = _Building(
        limits, limits.verify_pixels // len(named), meaning, places or Named(), classes_from, stems,
        told=[note_of(stems)] if by_shard else [], order=tuple(sorted(set(stems.values()))) or None,
    )  # fmt: skip
    with TemporaryDirectory(prefix="retort-shards-", dir=scratch) as folder:
        for role, name in named:
            split = splits[role].get(name) if role == "all" else role
            building.add(name, split, Path(folder))
    return building.index()


def _splits_by_name(names: Sequence[str]) -> dict[str, str]:
    """Shard -> split where the shards' own names say one, all of them or none. Raises `InvalidDataset`."""
    stems = {name: PurePosixPath(name.partition("?")[0]).stem for name in names}
    said = splits_among(stems.values())
    found = {name: said[stem].split for name, stem in stems.items() if stem in said}
    if found and len(found) < len(names):
        odd = next(name for name in names if name not in found)
        raise InvalidDataset(
            f"The names of {len(found)} shards say a split, that of {odd!r} does not.",
            "Name the shards of each split as such, or give them as train and test.",
            {"shard": odd},
        )
    return found


@dataclass
class _Building:
    limits: Limits
    pixels_a_shard: int
    classes: ClassList
    places: Places
    classes_from: ClassesFrom
    stems: Mapping[str, str]
    told: list[str]
    order: tuple[str, ...] | None
    shards: list[Shard] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    folders: dict[str, set[Parts]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _keys: dict[bytes, int] = field(default_factory=dict)

    def add(self, name: str, split: str | None, folder: Path) -> None:
        shard_folder = folder / "rows"
        shard_folder.mkdir(exist_ok=True)
        with self.places.opened(len(self.shards), name, folder) as found:
            records, kept = self._records(found.path, name, found.size_bytes, shard_folder, split or TRAIN)
            rows = [
                self._row(record, name, split) for record in self._looked(self._classed(records, name, split), name)
            ]
        if not rows:
            refuse(name, "it holds no sample", "Fill it, or leave it out.")
        self.shards.append(Shard(name, found.size_bytes, found.sha256, kept, found.mark))
        self.tables.append(pa.Table.from_pylist(rows, schema=_BUILDING))

    def _records(self, path: Path, name: str, size: int, folder: Path, split: str) -> tuple[Iterator[Record], int]:
        with path.open("rb") as file:
            check_head(name, file.read(HEAD_BYTES))
        if not is_parquet(name):
            return read_tar(path, name, self.limits, self.folders.setdefault(split, set())), size
        found = read_rows(path, name, self.limits, folder)
        self.classes.follow(found.names, name)
        return found.records, found.kept_bytes

    def _classed(self, records: Iterator[Record], shard: str, split: str | None) -> Iterator[Record]:
        """Where each shard is a class: with its name as label, and before the key, which counts within the shard."""
        stem = self.stems.get(shard)
        if stem is None:
            return records
        return (in_class(record, stem, shard, split) for record in records)

    def _looked(self, records: Iterator[Record], shard: str) -> Iterator[tuple[Record, dict[str, Any]]]:
        """Each sample with what its image is; decoded as long as the shard's share of pixels lasts."""
        left = self.pixels_a_shard
        for record in records:
            facts: dict[str, Any] = {"height": 0, "width": 0, "gray": False, "reason": "", "decoded": False, "peak": -1}
            try:
                image, head = opened(record.data, f"{shard}: {record.key}", self.limits.pixels)
                facts |= {"height": head.height, "width": head.width, "gray": head.gray}
                if left > 0:
                    left -= head.height * head.width
                    brightest = peak(image)
                    finished(image)
                    facts |= {"decoded": True, "peak": -1 if brightest is None else brightest}
            except UnreadableImage as error:
                facts["reason"] = str(error) or "it cannot be read"
            yield record, facts

    def _row(self, looked: tuple[Record, dict[str, Any]], shard: str, split: str | None) -> dict[str, Any]:
        record, facts = looked
        self._check_fresh(record.key, shard)
        own = record.split or split or TRAIN
        text = None if own in (UNLABELLED, PREDICTION) else self.classes.name_of(record.label, record.key, shard)
        return facts | {
            "key": record.key, "shard": len(self.shards), "offset": record.offset, "size": record.size,
            "text": -1 if text is None else self._number(text), "split": own,
            "sha256": hashlib.sha256(record.data).digest(), "lot": lot(record.key),
        }  # fmt: skip

    def _check_fresh(self, key: str, shard: str) -> None:
        short = hashlib.sha256(key.encode()).digest()[:12]
        first = self._keys.setdefault(short, len(self.shards))
        if first != len(self.shards):
            refuse(
                shard, f"its key {key!r} is in {self.shards[first].name!r} too",
                "Give every sample a key of its own, for example with its shard's number before it.", key=key,
            )  # fmt: skip

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def index(self) -> Index:
        """Raises `InvalidDataset` for labels, or splits, that nothing can be learnt from."""
        rows = joined(self.tables)
        texts, split = rows.column("text").to_numpy(), np.array(rows.column("split").to_pylist(), object)
        if not self.classes_from and not (texts >= 0).any():
            texts, split = self._in_folders(rows, split)
        said = Counter(split[(split != UNLABELLED) & (split != LEFT_OUT)].tolist())
        split[split == UNLABELLED] = TRAIN
        notes, used = [*self.told, *split_notes(said, "samples")], held_out(said)
        keep = np.isin(split, list(used))
        rows, texts, split = rows.filter(pa.array(keep)), texts[keep], split[keep]
        test = np.isin(split, [name for name, target in used.items() if target == TEST])
        if not test.any():
            test = self._hashed(rows, texts)
            notes.append(f"No test split: {HOLD_OUT:.0%} held out, by a hash of each sample's key.")
        classes, labels, told = self._classes(texts, test)
        self._check(labels, test, bool(classes))
        return Index(
            tuple(self.shards), classes, (*told, *notes, *self._looked_notes(rows)),
            self.pixels_a_shard * len(self.shards), _finished(rows, labels, test),
        )  # fmt: skip

    def _in_folders(self, rows: pa.Table, split: Any) -> tuple[Any, Any]:
        """Texts and splits as the folders of the images say them."""
        keys, numbers = rows.column("key").to_pylist(), rows.column("shard").to_pylist()

        def named(row: int) -> tuple[str, str]:
            return self.shards[numbers[row]].name, keys[row]

        found = arranged(keys, split.tolist(), self.folders, self.limits, named)
        self.told += found.notes
        if not found.classes and may_be_classes([shard.name for shard in self.shards]):
            self.told.append(HINT)
        means = {
            name: self.classes.name_of(name, keys[row], self.shards[numbers[row]].name)
            for name, row in {name: row for row, name in enumerate(found.labels) if name is not None}.items()
        }
        self.order = found.classes
        texts = [-1 if name is None else self._number(str(means[name])) for name in found.labels]
        return np.array(texts, np.int64), np.array([each or LEFT_OUT for each in found.splits], object)

    def _hashed(self, rows: pa.Table, texts: Any) -> Any:
        """Of labelled samples alone, where there are any: a test needs labels; and of classes that have samples left to
        train by."""
        drawn = np.array([lot(key, TEST_SALT) for key in rows.column("key").to_pylist()]) < HOLD_OUT
        return drawn & np.isin(texts, texts[~drawn & (texts >= 0)]) if (texts >= 0).any() else drawn

    def _classes(self, texts: Any, test: Any) -> tuple[tuple[str, ...], Any, Sequence[str]]:
        labels = np.full(len(texts), NO_LABEL, np.int64)
        if not (texts[~test] >= 0).any():
            return (), labels, ()
        present = {split: np.unique(texts[mask & (texts >= 0)]) for split, mask in ((TRAIN, ~test), (TEST, test))}
        said = {split: [self.texts[i] for i in numbers] for split, numbers in present.items() if len(numbers)}
        found = ONE_CLASS.numbered(said, self.limits, self.classes.names or self.order)
        table = np.full(len(self.texts), NO_LABEL, np.int64)
        for split, numbers in present.items():
            if len(numbers):
                table[numbers] = found.numbers[split]
        labelled = texts >= 0
        labels[labelled] = table[texts[labelled]]
        return found.classes, labels, (*found.notes, *found.after)

    def _check(self, labels: Any, test: Any, labelled: bool) -> None:
        for split, mask in ((TRAIN, ~test), (TEST, test)):
            if not mask.any():
                raise InvalidDataset(f"The {split} split has no samples.", "Send more samples.", {"split": split})
        if labelled and (labels[test] == NO_LABEL).any():
            raise InvalidDataset(
                f"{int((labels[test] == NO_LABEL).sum())} samples of the test split have no class.",
                "Give them one, or take them out: what is tested needs one.",
                {"split": TEST},
            )

    def _looked_notes(self, rows: pa.Table) -> list[str]:
        decoded, every = int(rows.column("decoded").to_numpy().sum()), len(rows)
        if decoded == every:
            return []
        return [
            f"Of {every:,} images in {len(self.shards):,} shards {decoded:,} were decoded whole, from the beginning of "
            f"every shard; of the others the heads were read, and the bytes hashed."
        ]


_BUILDING = pa.schema(
    [field for field in COLUMNS if field.name not in ("label", "test")]
    + [pa.field("text", pa.int64()), pa.field("split", pa.string())]
)


def _finished(rows: pa.Table, labels: Any, test: Any) -> pa.Table:
    made = rows.append_column("label", pa.array(labels)).append_column("test", pa.array(test))
    return made.select(COLUMNS.names).cast(COLUMNS)
