"""Parts of an index joined into one: the same bytes, and the same first problem, as if one process had read it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from distill.data.labelled import held_out, split_notes
from distill.data.members import Parts
from distill.data.split_names import TEST, TRAIN, UNLABELLED
from distill.data.stratify import HOLD_OUT
from distill.errors import InvalidDataset, RetortError
from distill.modalities.images.labelling import ONE_CLASS
from distill.modalities.images.shards.checks import Checks
from distill.modalities.images.shards.class_folders import arranged
from distill.modalities.images.shards.class_shards import HINT, may_be_classes, note_of
from distill.modalities.images.shards.index import COLUMNS, Index, joined
from distill.modalities.images.shards.lots import TEST_SALT, lot
from distill.modalities.images.shards.plan import Plan
from distill.modalities.images.shards.reading import Part, ReadShard
from distill.modalities.images.shards.record import Shard
from distill.unlabelled import NO_LABEL

LEFT_OUT = ""
"""The split of samples that are not used."""


def merged(plan: Plan, parts: Iterable[Part], error: RetortError | None = None) -> Index:
    """The index of all parts, which come in the order of the shards. `error`: what ended the last of them, where that
    is not in the part itself. Raises the first problem in the order of the shards; and `InvalidDataset` for labels, or
    splits, that nothing can be learnt from."""
    merging = _Merging(plan, Checks(plan.class_list()))
    for part in parts:
        merging.add(part)
        if part.error is not None:
            raise part.error
    if error is not None:
        raise error
    if len(merging.shards) != len(plan.names):
        raise ValueError(f"{len(merging.shards)} of {len(plan.names)} shards were read")
    return merging.index()


@dataclass
class _Merging:
    plan: Plan
    checks: Checks
    shards: list[Shard] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    folders: dict[str, set[Parts]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    order: tuple[str, ...] | None = None
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if stems := self.plan.stems:
            self.told, self.order = [note_of(stems)], tuple(sorted(set(stems.values())))

    def add(self, part: Part) -> None:
        if part.first != len(self.shards):
            raise ValueError(f"a part begins with shard {part.first}, and {len(self.shards)} were read before it")
        for split, found in part.folders.items():
            self.folders.setdefault(split, set()).update(found)
        for each in part.shards:
            self._shard(each)

    def _shard(self, read: ReadShard) -> None:
        """Raises `InvalidDataset` for what contradicts the shards before it."""
        self.checks.shard(self.plan.names[len(self.shards)], read.classes)
        columns = (read.rows.column(name).to_pylist() for name in ("key", "said", "split"))
        said = [self.checks.sample(*row) for row in zip(*columns, strict=True)]
        if read.shard is None:
            return
        texts = [-1 if text is None else self._number(text) for text in said]
        self.shards.append(read.shard)
        self.tables.append(read.rows.drop_columns("said").append_column("text", pa.array(texts, pa.int64())))

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def index(self) -> Index:
        rows = joined(self.tables)
        texts, split = rows.column("text").to_numpy(), np.array(rows.column("split").to_pylist(), object)
        if not self.plan.classes_from and not (texts >= 0).any():
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
            self.plan.pixels_a_shard * len(self.shards), _finished(rows, labels, test),
        )  # fmt: skip

    def _in_folders(self, rows: pa.Table, split: Any) -> tuple[Any, Any]:
        """Texts and splits as the folders of the images say them."""
        keys, numbers = rows.column("key").to_pylist(), rows.column("shard").to_pylist()

        def named(row: int) -> tuple[str, str]:
            return self.shards[numbers[row]].name, keys[row]

        found = arranged(keys, split.tolist(), self.folders, self.plan.limits, named)
        self.told += found.notes
        if not found.classes and may_be_classes([shard.name for shard in self.shards]):
            self.told.append(HINT)
        means = {
            name: self.checks.classes.name_of(name, keys[row], self.shards[numbers[row]].name)
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
        found = ONE_CLASS.numbered(said, self.plan.limits, self.checks.classes.names or self.order)
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


def _finished(rows: pa.Table, labels: Any, test: Any) -> pa.Table:
    made = rows.append_column("label", pa.array(labels)).append_column("test", pa.array(test))
    return made.select(COLUMNS.names).cast(COLUMNS)
