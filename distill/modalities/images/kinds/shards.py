"""Shards: WebDataset tars or parquet, read where they lie, by an index that is written once."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.files import check_roles
from distill.data.limits import Limits
from distill.data.split_names import TEST, TRAIN
from distill.errors import InvalidDataset
from distill.modalities.images.described import decoding_all
from distill.modalities.images.kind import Items, Opened
from distill.modalities.images.labelling import ONE_CLASS, Labelling
from distill.modalities.images.shards import index as indexes
from distill.modalities.images.shards import origin, part_file, supply
from distill.modalities.images.shards.building import build_index
from distill.modalities.images.shards.cache import ShardCache, default_cache, default_folder
from distill.modalities.images.shards.class_list import class_list
from distill.modalities.images.shards.index import Index
from distill.modalities.images.shards.listing import ENDING, listed
from distill.modalities.images.shards.merging import merged
from distill.modalities.images.shards.places import Supplied
from distill.modalities.images.shards.plan import Plan, plan_of
from distill.modalities.images.shards.reading import Part, read_part
from distill.modalities.images.shards.sampling import sampled
from distill.modalities.images.shards.shard_images import ShardImages
from distill.modalities.images.shards.shelf import Shelf
from distill.modalities.images.shards.supply import (
    INDEX,
    NAMES,
    SUPPLY,
    Supply,
    error_of,
)
from distill.types import ClassesFrom, DatasetInput
from distill.unlabelled import NO_LABEL


def open_shards(
    dataset: DatasetInput, limits: Limits, scratch: Path | None, labelling: Labelling = ONE_CLASS
) -> Opened:
    """By the index that `index` names; else what the roles name is listed, and an index of it is read from the cache of
    this machine, or written there. Raises `InvalidDataset`, `ShardUnavailable`, and `InvalidConfig` where the cache is
    too small."""
    if labelling is not ONE_CLASS:
        raise InvalidDataset("Shards are read for images with one class each.", "Send the images in an archive.")
    index = index_of(dataset, limits, scratch)
    if SUPPLY not in dataset.files:
        return opened(index, default_cache(), limits)
    supplied = Supply(Path(dataset.files[SUPPLY]))
    return opened(index, ShardCache(default_folder() / "kept", supplied.budget_bytes), limits, supplied)


def index_of(dataset: DatasetInput, limits: Limits, scratch: Path | None, processes: int = 1) -> Index:
    """As `open_shards` finds it. `processes`: that read shards where there is none yet."""
    if INDEX in dataset.files:
        return indexes.read(Path(dataset.files[INDEX]))
    if NAMES in dataset.files:
        told, plan = _told(dataset, limits)
        if supply.PARTS in told:
            problem = told[supply.PROBLEM]
            return merged(plan, map(part_file.read, map(Path, told[supply.PARTS])), problem and error_of(problem))
        span = (0, len(plan.names))
        return merged(plan, [read_part(plan, span, _supplied(dataset, range(*span)), scratch)])
    check_roles(dataset)
    by_role = sorted(dataset.files.items(), key=lambda item: item[0] == TEST)  # training shards first
    counted = dataset.classes_from != "shards"
    roles = {role: listed(given, counted=counted) for role, given in by_role}
    return _kept_index(roles, limits, scratch, dataset.classes_from, processes)


def part_of(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> Part:
    """Those shards of a supply read that `PART` says. A problem of theirs is in the part."""
    told, plan = _told(dataset, limits)
    first, end = told[supply.PART]
    return read_part(plan, (first, end), _supplied(dataset, range(first, end)), scratch)


def sample_of(dataset: DatasetInput, limits: Limits, scratch: Path | None) -> dict[str, Any]:
    """What `sampled` finds in those shards of a supply that `SAMPLE` says."""
    told, plan = _told(dataset, limits)
    return sampled(plan, told[supply.SAMPLE], _supplied(dataset, told[supply.SAMPLE]), scratch)


def _told(dataset: DatasetInput, limits: Limits) -> tuple[dict[str, Any], Plan]:
    told: dict[str, Any] = json.loads(Path(dataset.files[NAMES]).read_bytes())
    limits = decoding_all(limits) if told.get(supply.DECODE) == supply.ALL else limits
    return told, plan_of(told["roles"], limits, told["classes"], dataset.classes_from)


def _supplied(dataset: DatasetInput, numbers: Sequence[int]) -> Supplied:
    return Supplied(Supply(Path(dataset.files[SUPPLY])), numbers)


def indexed(dataset: DatasetInput, limits: Limits, scratch: Path | None, path: Path) -> DatasetInput:
    """The same dataset by its index, which is written to `path`. Raises as `open_shards` does."""
    indexes.write(index_of(dataset, limits, scratch), path)
    kept = {role: value for role, value in dataset.files.items() if role == SUPPLY}
    return dataset.model_copy(update={"files": {INDEX: str(path)} | kept})


def _kept_index(
    roles: Mapping[str, Sequence[str]], limits: Limits, scratch: Path | None, classes_from: ClassesFrom,
    processes: int,
) -> Index:  # fmt: skip
    """One process writes what the others, of this job and of the next ones, read; while no shard changes."""
    marks = [f"{role} {origin.mark(name) or ''}" for role, names in roles.items() for name in names]
    if any(mark.endswith(" ") for mark in marks):  # nothing would tell that a shard has changed
        return build_index(roles, limits, scratch, classes_from=classes_from, processes=processes)
    named = class_list([name for names in roles.values() for name in names]).names
    key = hashlib.sha256(repr((indexes.VERSION, named, marks, classes_from)).encode()).hexdigest()
    path = default_folder() / "indexes" / f"{key}{ENDING}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.is_file():
            found = indexes.read(path)
            if found.verify_pixels >= limits.verify_pixels - len(found.shards):
                return found
        index = build_index(roles, limits, scratch, classes_from=classes_from, processes=processes)
        indexes.write(index, path)
    return index


def opened(index: Index, cache: ShardCache, limits: Limits, supplied: Supply | None = None) -> Opened:
    """The dataset of an index. Raises `InvalidConfig` where the cache is too small for it."""
    shelf = Shelf(index.shards, cache, limits, supplied)
    shelf.check_room()
    test, labels = index.column("test").astype(bool), index.column("label").astype(np.int64)
    train = np.flatnonzero(~test)
    train = train[np.argsort(labels[train] == NO_LABEL, kind="stable")]
    places = {TRAIN: train, TEST: np.flatnonzero(test)}
    splits = {split: Items(ShardImages(index, at, shelf), labels[at]) for split, at in places.items()}
    return Opened(index.classes, splits, index.notes)


ENTRY = open_shards
