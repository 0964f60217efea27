"""Some shards of a dataset read through, whole and in order: a part of its index, and each fault of a shard by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from distill.data.members import Parts
from distill.data.split_names import TRAIN
from distill.errors import RetortError
from distill.modalities.images.formats import HEAD_BYTES
from distill.modalities.images.shards.checks import Checks
from distill.modalities.images.shards.class_shards import in_class
from distill.modalities.images.shards.index import COLUMNS
from distill.modalities.images.shards.lots import lot
from distill.modalities.images.shards.parquet_rows import read_rows
from distill.modalities.images.shards.places import Places
from distill.modalities.images.shards.plan import Plan
from distill.modalities.images.shards.record import Record, Shard, is_parquet
from distill.modalities.images.shards.refusal import check_head, refuse
from distill.modalities.images.shards.spans import Span
from distill.modalities.images.shards.webdataset import read_tar
from distill.modalities.images.sources import UnreadableImage, finished, opened, peak

ROWS = pa.schema(
    [field for field in COLUMNS if field.name not in ("label", "test")]
    + [pa.field("said", pa.string()), pa.field("split", pa.string())]
)
"""Of samples as they are read. `said`: the label as it is written, null: none."""


@dataclass(frozen=True, slots=True)
class ReadShard:
    """`shard`: None where its reading met a problem; `classes`: what it calls them, None: it does not; `rows`: of the
    samples up to there (`ROWS`)."""

    shard: Shard | None
    classes: tuple[str, ...] | None
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Part:
    """The shards from number `first` on, read up to a problem, where there was one. `folders`: those that the tars
    list, by split."""

    first: int
    shards: tuple[ReadShard, ...]
    folders: dict[str, set[Parts]]
    error: RetortError | None = None


Folders = dict[str, set[Parts]]


def read_part(plan: Plan, span: Span, places: Places, scratch: Path | None) -> Part:
    """Read the shards of the span. What is wrong with one of them ends it, and is in the part; raises for what is no
    `RetortError`."""
    shards, folders, error = read_shards(plan, range(*span), places, scratch)
    return Part(span[0], tuple(shards), folders, error)


def read_shards(
    plan: Plan, numbers: Sequence[int], places: Places, scratch: Path | None
) -> tuple[list[ReadShard], Folders, RetortError | None]:
    """Read shards once, whole: sha256 of each shard and each image, the head of each image; and decode images as long
    as each shard's equal share of pixels lasts. What was read, the folders that the tars list, and the problem that
    ended it."""
    reading = _Reading(plan, Checks(plan.class_list()), places)
    error: RetortError | None = None
    with TemporaryDirectory(prefix="retort-shards-", dir=scratch) as folder:
        try:
            for number in numbers:
                reading.add(number, Path(folder))
        except RetortError as met:
            error = met
    return reading.shards, reading.folders, error


@dataclass
class _Reading:
    plan: Plan
    checks: Checks
    places: Places
    shards: list[ReadShard] = field(default_factory=list)
    folders: Folders = field(default_factory=dict)

    def add(self, number: int, folder: Path) -> None:
        name, split = self.plan.names[number], self.plan.splits[number]
        shard_folder = folder / "rows"
        shard_folder.mkdir(exist_ok=True)
        rows: list[dict[str, Any]] = []
        shard: Shard | None = None
        classes: tuple[str, ...] | None = None
        try:
            with self.places.opened(number, name, folder) as found:
                records, classes, kept = self._records(found.path, name, found.size_bytes, shard_folder, split or TRAIN)
                self.checks.shard(name, classes)
                for record, facts in self._looked(self._classed(records, name, split), name):
                    own = record.split or split or TRAIN
                    rows.append(_row(record, number, own) | facts)
                    self.checks.sample(record.key, record.label, own)
            if not rows:
                refuse(name, "it holds no sample", "Fill it, or leave it out.")
            shard = Shard(name, found.size_bytes, found.sha256, kept, found.mark)
        finally:
            self.shards.append(ReadShard(shard, classes, pa.Table.from_pylist(rows, schema=ROWS)))

    def _records(
        self, path: Path, name: str, size: int, folder: Path, split: str
    ) -> tuple[Iterable[Record], tuple[str, ...] | None, int]:
        with path.open("rb") as file:
            check_head(name, file.read(HEAD_BYTES))
        if not is_parquet(name):
            listed = self.folders.setdefault(split, set())
            return read_tar(path, name, self.plan.limits, listed), None, size
        found = read_rows(path, name, self.plan.limits, folder)
        return found.records, found.names, found.kept_bytes

    def _classed(self, records: Iterable[Record], shard: str, split: str | None) -> Iterable[Record]:
        """Where each shard is a class: with its name as label, and before the key, which counts within the shard."""
        stem = self.plan.stems.get(shard)
        if stem is None:
            return records
        return (in_class(record, stem, shard, split) for record in records)

    def _looked(self, records: Iterable[Record], shard: str) -> Iterator[tuple[Record, dict[str, Any]]]:
        """Each sample with what its image is; decoded as long as the shard's share of pixels lasts."""
        left = self.plan.pixels_a_shard
        for record in records:
            facts: dict[str, Any] = {"height": 0, "width": 0, "gray": False, "reason": "", "decoded": False, "peak": -1}
            try:
                image, head = opened(record.data, f"{shard}: {record.key}", self.plan.limits.pixels)
                facts |= {"height": head.height, "width": head.width, "gray": head.gray}
                if left > 0:
                    left -= head.height * head.width
                    brightest = peak(image)
                    finished(image)
                    facts |= {"decoded": True, "peak": -1 if brightest is None else brightest}
            except UnreadableImage as error:
                facts["reason"] = str(error) or "it cannot be read"
            yield record, facts


def _row(record: Record, shard: int, split: str) -> dict[str, Any]:
    return {
        "key": record.key, "shard": shard, "offset": record.offset, "size": record.size, "said": record.label,
        "split": split, "sha256": hashlib.sha256(record.data).digest(), "lot": lot(record.key),
    }  # fmt: skip
