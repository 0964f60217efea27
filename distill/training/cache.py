"""The teacher's targets: computed live for every batch, or once for every sample and kept."""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.data.packing import WHOLE_ROWS, Packed, Packing, Spans
from distill.recipe_parts.base import Recipe
from distill.training import sharding
from distill.training.data import Batch, Source
from distill.training.mode import Mode

Targets = dict[str, Tensor]
DISK_SHARE = 0.8  # of the scratch disk's free bytes that cached targets may take
GPU_SHARE = 0.4  # of the free device memory that cached targets may take: the rest is the student's


class Teacher:
    """Computes targets: no gradient, in the mode that suits the teacher; losses widen what they compute with."""

    def __init__(self, recipe: Recipe, mode: Mode, device: torch.device) -> None:
        self.recipe, self.mode, self.device = recipe, mode, device

    def __call__(self, teacher_input: Any) -> Targets:
        if self.recipe.teacher is None:
            return {}
        with torch.no_grad(), self.mode.autocast(self.device):
            targets = self.recipe.targets(self.mode.layout(teacher_input))
        sharding.begin_anew(self.recipe.teacher)  # it may have ended at its deepest layer
        return targets


def stored_dtype(name: str, value: Tensor) -> torch.dtype:
    """bf16 for features, fp32 for logits (a softmax at T = 4 sees differences of 1e-2), the own type for integers."""
    if not value.is_floating_point():
        return value.dtype
    return torch.float32 if "logits" in name else torch.bfloat16


def rounded(targets: Targets) -> Targets:
    """Targets as a cache would give them, for a run that began with one and cannot have it now."""
    return {name: value.to(stored_dtype(name, value)) for name, value in targets.items()}


def bytes_per_sample(targets: Targets, packing: Packing = WHOLE_ROWS) -> int:
    """Size of one sample's stored targets, bytes; of packed ones the mean over all samples."""
    spans = packing.spans()
    return sum(
        _values(value, packing.of(name, value), spans) * stored_dtype(name, value).itemsize
        for name, value in targets.items()
    )


def _values(value: Tensor, packed: Packed | None, spans: dict[str, Spans]) -> int:
    return value[0].numel() if packed is None else math.ceil(value.shape[-1] * spans[packed.key].mean)


@dataclass(frozen=True)
class Plan:
    """Where targets come from: `live`, `memory`, `device` or `disk`, and why; of a continued run also `recomputed`:
    live, but rounded as the cache that it began with."""

    place: str
    reason: str


def plan(
    wanted: bool | str, *, augmented: bool, passes: float, sample_bytes: int, samples: int, memory_bytes: int,
    disk_bytes: int, device_bytes: int = 0,
) -> Plan:  # fmt: skip
    """Decide. `passes`: how often the run sees each sample; `device_bytes`: what an accelerator may spend (0: CPU)."""
    size = sample_bytes * samples
    note = f"{samples} samples of {sample_bytes} bytes"
    if not wanted:
        return Plan("live", "cache_teacher is false")
    if sample_bytes == 0:
        return Plan("live", "the recipe needs no teacher targets")
    if augmented:
        return Plan("live", "augmented inputs change from epoch to epoch")
    if wanted == "auto" and passes < 1.5:
        return Plan("live", f"each sample is seen {passes:.2g} times: nothing to save")
    if size <= device_bytes:
        return Plan("device", f"{note} fit the accelerator's memory")
    if size <= memory_bytes:
        return Plan("memory", f"{note} fit cache_memory_bytes")
    if size <= disk_bytes:
        return Plan("disk", f"{note} exceed cache_memory_bytes: memory-mapped in the scratch folder")
    return Plan("live", f"{note} fit neither memory nor the scratch disk")


def continued(now: Plan) -> Plan:
    """Where a run that began with cached targets finds them now: the place changes no number."""
    if now.place != "live":
        return now
    return Plan("recomputed", f"{now.reason}; computed for every batch and rounded as the cache rounded them")


class Cache:
    """Targets of every sample by its index in the dataset. `close` frees the memory and removes the files.

    What `packing` packs lies sample after sample without padding, and comes back padded with zeros to the length of the
    batch that asks.
    """

    def __init__(
        self, place: str, indices: Tensor, folder: Path, device: torch.device, packing: Packing = WHOLE_ROWS
    ) -> None:
        self.place, self.folder, self.device, self.packing = place, folder, device, packing
        self.count = len(indices)
        self._row = torch.full((int(indices.max()) + 1,), -1, dtype=torch.long)
        self._row[indices] = torch.arange(self.count)
        self._home = device if place == "device" else torch.device("cpu")
        self._row = self._row.to(self._home)
        self._spans = {key: span.of(indices, self._home) for key, span in packing.spans().items()}
        self._tensors: Targets = {}
        self._channels_last: dict[str, bool] = {}
        self._packed: dict[str, Packed] = {}

    def put(self, batch: Batch, targets: Targets) -> None:
        rows = self._rows(batch)
        for name, value in targets.items():
            if packed := self.packing.of(name, value):
                self._put_packed(name, packed, rows, value, batch)
                continue
            if name not in self._tensors:
                self._channels_last[name] = _channels_last(value)
                self._tensors[name] = self._allocate(name, self._stored(name, value))
            store = self._tensors[name]
            store[rows] = self._stored(name, value).detach().to(self._home, store.dtype)

    def _stored(self, name: str, value: Tensor) -> Tensor:
        """Maps in channels_last are kept as (n, h, w, c), so that looking them up gives that layout again."""
        return value.movedim(1, -1) if self._channels_last[name] else value

    def _restored(self, name: str, stored: Tensor) -> Tensor:
        return stored.movedim(-1, 1) if self._channels_last[name] else stored

    def _rows(self, batch: Batch) -> Tensor:
        """No synchronisation: the index is looked up where it already lies."""
        return self._row[batch.host_index if self._home.type == "cpu" else batch.index]

    def get(self, batch: Batch) -> Targets:
        """The targets of a batch as they are stored: widening all of them here would cost three times their bytes."""
        rows = self._rows(batch)
        return {
            name: self._restored(name, store.index_select(0, rows).to(self.device, non_blocking=True))
            for name, store in self._tensors.items()
            if name not in self._packed
        } | {name: self._get_packed(name, packed, rows, batch) for name, packed in self._packed.items()}

    def _put_packed(self, name: str, packed: Packed, rows: Tensor, value: Tensor, batch: Batch) -> None:
        spans = self._spans[packed.key]
        if name not in self._tensors:
            self._packed[name] = packed
            self._tensors[name] = self._allocate(name, value.flatten(0, -2), int(spans.counts.sum()))
        where, mask = spans.places(rows, self.packing.width(batch.student))
        store, given = self._tensors[name], value.detach().to(self._home, stored_dtype(name, value))
        store[where[mask]] = given if packed.flat else given[mask]

    def _get_packed(self, name: str, packed: Packed, rows: Tensor, batch: Batch) -> Tensor:
        """(n, t, c) with zeros at padded positions; t is the batch's own. Of flat targets the rows (m, c)."""
        where, mask = self._spans[packed.key].places(rows, self.packing.width(batch.student))
        store = self._tensors[name]
        if packed.flat:
            return store[where[mask]].to(self.device, non_blocking=True)
        found = store[where.clamp(0, len(store) - 1)]
        return found.masked_fill(~mask[:, :, None], 0).to(self.device, non_blocking=True)

    def _allocate(self, name: str, value: Tensor, count: int | None = None) -> Tensor:
        shape, dtype = (count or self.count, *value.shape[1:]), stored_dtype(name, value)
        if self.place != "disk":
            return torch.empty(shape, dtype=dtype, device=self._home)
        self.folder.mkdir(parents=True, exist_ok=True)
        size = torch.Size(shape).numel()
        path = self.folder / f"targets-{len(self._tensors)}.bin"
        return torch.from_file(str(path), shared=True, size=size, dtype=dtype).view(shape)

    def close(self) -> None:
        self._tensors.clear()
        if self.place == "disk":
            shutil.rmtree(self.folder, ignore_errors=True)


def _channels_last(value: Tensor) -> bool:
    return value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last)


def fill(cache: Cache, teacher: Teacher, source: Source) -> Generator[float, None, None]:
    """Compute every sample's targets; yields the fraction done after each batch."""
    total = source.batches_per_epoch
    for number, batch in enumerate(source.epoch(0), start=1):
        cache.put(batch, teacher(batch.teacher))
        yield number / total


def device_budget(device: torch.device) -> int:
    """Bytes that cached targets may take on the accelerator; 0 on the CPU."""
    if device.type != "cuda":
        return 0
    return int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])


def disk_budget(folder: Path) -> int:
    return int(DISK_SHARE * shutil.disk_usage(folder).free)
