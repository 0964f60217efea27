"""Forward passes of the sample that fill feature matrices, rows sorted by class."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill import processes
from distill.errors import InvalidConfig
from distill.layers import WHOLE, FeatureView, capture
from distill.layers.forward import batch_size, forward, replace_tensors, tensors
from distill.layers.modes import evaluating
from distill.offload import device_of
from distill.quality.classes import Classes
from distill.quality.gram import ALL, MatrixColumns
from distill.quality.plan import Stored, is_channels_last

Batches = Callable[[], Iterable[Any]]
"""A pass over the sample: what the model is given, or `Marked`."""
ALIGNMENT = 64  # bytes
FORWARD_SAFETY = 3  # live tensors and workspaces, in units of the largest module's input and output


@dataclass(frozen=True)
class Marked:
    """A batch whose rows are parts of samples: `marks` say to the view which. Tensors in both have one row a sample."""

    inputs: Any
    marks: Any

    @classmethod
    def of(cls, batch: Any) -> Marked:
        return batch if isinstance(batch, cls) else cls(batch, None)

    def part(self, start: int, stop: int) -> Marked:
        """Samples start..stop: every tensor that has one row a sample is cut, the rest stays."""
        size = batch_size(self.inputs)
        return self.changed(lambda t: t[start:stop] if t.ndim and t.shape[0] == size else t)

    def to(self, device: torch.device) -> Marked:
        return self.changed(lambda t: t.to(device, non_blocking=True))

    def changed(self, change: Callable[[Tensor], Tensor]) -> Marked:
        return Marked(replace_tensors(self.inputs, change), replace_tensors(self.marks, change))


@dataclass(frozen=True)
class Probe:
    """What the first batch tells: bytes a value by layer, its rows, and an estimate of a forward pass's bytes a row."""

    item_bytes: dict[str, int]
    rows: int
    row_bytes: int


class Passes:
    """Runs the model over the sample; every run gives the same samples in the same order."""

    def __init__(self, model: nn.Module, batches: Batches, classes: Classes, view: FeatureView = WHOLE) -> None:
        self._model, self._batches, self._view = model, batches, view
        self._model_device = device_of(model)
        # Apple's GPUs have no float64: there the products run on the CPU.
        self.device = self._model_device if self._model_device.type != "mps" else torch.device("cpu")
        self.classes = classes.to(self.device)
        self._rows = torch.argsort(self.classes.order)  # where each sample goes
        self.rows_at_once: int | None = None  # None: whole batches
        self._arena = torch.empty(0, dtype=torch.uint8, device=self.device)

    def probe(self, names: Sequence[str]) -> Probe:
        """Run two samples of the first batch. Layers that do not run raise `InvalidConfig`."""
        sizes: dict[str, int] = {}
        largest = [0]

        def measure(_module: nn.Module, inputs: Any, output: Any) -> None:
            held = {t.untyped_storage().data_ptr(): t.nbytes for t in tensors([*inputs, output])}
            largest[0] = max(largest[0], sum(held.values()))

        leaves = [module for module in self._model.modules() if not any(True for _ in module.children())]
        handles = [leaf.register_forward_hook(measure) for leaf in leaves]
        try:
            rows = self._first_two(names, lambda name, feature: sizes.__setitem__(name, feature.element_size()))
        finally:
            for handle in handles:
                handle.remove()
        self._check_layers(names, sizes)
        return Probe(sizes, rows, FORWARD_SAFETY * largest[0] // min(rows, 2))

    def _first_two(self, names: Sequence[str], sink: Any) -> int:
        """Run two samples; the rows of the batch that they were taken from, 1 where there is none."""
        with torch.inference_mode(), evaluating(self._model):
            for batch in map(Marked.of, self._batches()):
                self._forward(names, batch.part(0, 2), sink)
                return max(batch_size(batch.inputs) or 0, 1)
        return 1

    def fill(self, wanted: Sequence[tuple[Stored, slice]]) -> dict[str, Tensor]:
        """One pass: layer name -> features (N, columns of the slice) of every wanted layer.

        They lie in one block of memory that the next pass uses again: many large tensors that come and go between
        forward passes would leave holes in the heap, and the peak would be no longer what was planned."""
        filled: dict[str, Tensor] = {}
        by_name = {stored.layer.name: (stored, part) for stored, part in wanted}
        sizes = [self._bytes(stored, part) for stored, part in wanted]
        places = dict(zip(by_name, self._rooms(sizes), strict=True))
        done = [0]

        def keep(name: str, feature: Tensor) -> None:
            stored, part = by_name[name]
            values = _pooled(feature, stored)[:, part].to(self.device)
            if name not in filled:
                filled[name] = self._matrix(places[name], values.dtype, values.shape[1])
            filled[name].index_copy_(0, self._rows[done[0] : done[0] + len(values)], values)

        self._run(list(by_name), keep, done)
        if processes.world() > 1:
            self._join(filled, places)
        self._check_layers(list(by_name), filled)
        return filled

    def _matrix(self, room: Tensor, dtype: torch.dtype, columns: int) -> Tensor:
        """(N, columns), of zeros where other processes fill a part of the rows."""
        matrix = room[: self.classes.samples * columns * dtype.itemsize].view(dtype).view(self.classes.samples, -1)
        return matrix.zero_() if processes.world() > 1 else matrix

    def _join(self, filled: dict[str, Tensor], places: dict[str, Tensor]) -> None:
        """Add the rows that other processes have filled. One without a batch has not seen a layer yet."""
        for known in processes.gathered({name: (each.dtype, each.shape[1]) for name, each in filled.items()}):
            for name in known.keys() - filled.keys():
                filled[name] = self._matrix(places[name], *known[name])
        for name in places:
            if name in filled:
                processes.total(filled[name])

    def reserve(self, groups: Iterable[Sequence[Stored]]) -> None:
        """Take the memory of the largest group at once: growing later would hold the old block beside the new."""

        def piece(stored: Stored) -> int:
            return self._bytes(stored, slice(-(-stored.dims // stored.pieces)))

        self._rooms([max(sum(map(piece, members)) for members in groups)])

    def _bytes(self, stored: Stored, part: slice) -> int:
        columns = len(range(*part.indices(stored.dims)))
        return -(-self.classes.samples * columns * stored.item_bytes // ALIGNMENT) * ALIGNMENT

    def _rooms(self, sizes: Sequence[int]) -> list[Tensor]:
        """Places of these sizes in the arena, which grows where it must."""
        if sum(sizes) > len(self._arena):
            self._arena = self._arena.new_empty(0)  # let go first
            self._arena = torch.empty(sum(sizes), dtype=torch.uint8, device=self.device)
        return list(self._arena[: sum(sizes)].split_with_sizes(list(sizes)))

    def _run(self, names: Sequence[str], sink: Any, done: list[int]) -> None:
        """The whole sample, at most `rows_at_once` inputs at a time; `done` counts the rows before the present ones.
        Several processes take turns at the batches."""
        with torch.inference_mode(), evaluating(self._model):
            for number, batch in enumerate(map(Marked.of, self._batches())):
                rows = self._view.count(batch.inputs, batch.marks)
                if done[0] + rows > self.classes.samples:
                    self._check_samples(done[0] + rows)
                if not processes.mine(number):
                    done[0] += rows
                    continue
                size = batch_size(batch.inputs) or 0
                step = self.rows_at_once or max(size, 1)
                for start in range(0, size, step):
                    done[0] += self._forward(names, batch.part(start, start + step), sink)
        self._check_samples(done[0])

    def _forward(self, names: Sequence[str], batch: Marked, sink: Any) -> int:
        """One forward pass of all inputs of `batch`; the number of its rows."""
        batch = batch.to(self._model_device)
        with capture(self._model, names, stop=True, sink=self._viewed(sink, batch)):
            forward(self._model, batch.inputs)
        return self._view.count(batch.inputs, batch.marks)

    def _viewed(self, sink: Any, batch: Marked) -> Any:
        """Features as the view reads them: of sequences, which are padded to each batch's own length, only that has
        one shape."""
        return lambda name, feature: sink(name, self._view.rows(feature, batch.inputs, batch.marks))

    def _check_samples(self, samples: int) -> None:
        if samples != self.classes.samples:
            raise InvalidConfig(
                f"The batches hold {samples} samples or more, the labels {self.classes.samples}.",
                "Give one label a sample, and the same samples in the same order on every call.",
            )

    def _check_layers(self, names: Sequence[str], seen: Container[str]) -> None:
        missing = [name for name in names if name not in seen]
        if missing:
            raise InvalidConfig(
                f"Layer {missing[0]!r} did not run with a tensor of one row a sample.",
                "Discover the layers with an input like those of the batches.",
                {"layers": missing},
            )


def _pooled(feature: Tensor, stored: Stored) -> Tensor:
    """The feature (n, ...) flattened to (n, D), average-pooled first where the plan says so."""
    if stored.extent is None:
        return feature.flatten(1)
    last = is_channels_last(stored.layer.shape)
    maps = feature.movedim(-1, 1) if last else feature
    pools: tuple[Callable[..., Tensor], ...] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
    return pools[len(stored.extent) - 1](maps.float(), stored.extent).flatten(1)


class PassColumns:
    """The columns of a layer that does not fit: every read runs the model once for each of its pieces."""

    def __init__(self, passes: Passes, stored: Stored, buffer_bytes: int) -> None:
        self._passes, self._stored, self._buffer_bytes = passes, stored, buffer_bytes

    @property
    def dims(self) -> int:
        return self._stored.dims

    def blocks(self, rows: slice = ALL) -> Iterator[Tensor]:
        width = -(-self.dims // self._stored.pieces)
        for start in range(0, self.dims, width):
            part = slice(start, min(start + width, self.dims))
            (features,) = self._passes.fill([(self._stored, part)]).values()
            yield from MatrixColumns(features, None, self._buffer_bytes).blocks(rows)
            del features
