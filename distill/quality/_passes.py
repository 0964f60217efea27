"""Forward passes of the sample that fill feature matrices, rows sorted by class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import InvalidConfig
from distill.layers import capture
from distill.layers._forward import batch_size, forward, tensors, to_device
from distill.layers._trace import evaluating
from distill.quality._classes import Classes
from distill.quality._gram import MatrixColumns
from distill.quality._plan import Stored, is_channels_last

Batches = Callable[[], Iterable[Any]]
FORWARD_SAFETY = 3  # live tensors and workspaces, in units of the largest module's input and output


@dataclass(frozen=True)
class Probe:
    """What the first batch tells: bytes a value by layer, and an estimate of a forward pass's own memory."""

    item_bytes: dict[str, int]
    forward_bytes: int


class Passes:
    """Runs the model over the sample; every run gives the same samples in the same order."""

    def __init__(self, model: nn.Module, batches: Batches, classes: Classes) -> None:
        self._model, self._batches = model, batches
        parameter = next(model.parameters(), None)
        self._model_device = torch.device("cpu") if parameter is None else parameter.device
        # Apple's GPUs have no float64: there the products run on the CPU.
        self.device = self._model_device if self._model_device.type != "mps" else torch.device("cpu")
        self.classes = classes.to(self.device)
        self._rows = torch.argsort(self.classes.order)  # where each sample goes

    def probe(self, names: Sequence[str]) -> Probe:
        """Run the first batch. Layers that do not run raise `LayersNotFound`."""
        sizes: dict[str, int] = {}
        largest = [0]

        def measure(_module: nn.Module, inputs: Any, output: Any) -> None:
            held = {t.untyped_storage().data_ptr(): t.nbytes for t in tensors([*inputs, output])}
            largest[0] = max(largest[0], sum(held.values()))

        leaves = [module for module in self._model.modules() if not any(True for _ in module.children())]
        handles = [leaf.register_forward_hook(measure) for leaf in leaves]
        try:
            self._run(names, lambda name, feature: sizes.__setitem__(name, feature.element_size()), only_first=True)
        finally:
            for handle in handles:
                handle.remove()
        return Probe(sizes, FORWARD_SAFETY * largest[0])

    def fill(self, wanted: Sequence[tuple[Stored, slice]]) -> dict[str, Tensor]:
        """One pass: layer name -> features (N, columns of the slice) of every wanted layer."""
        filled: dict[str, Tensor] = {}
        by_name = {stored.layer.name: (stored, part) for stored, part in wanted}
        done = [0]

        def keep(name: str, feature: Tensor) -> None:
            stored, part = by_name[name]
            values = _pooled(feature, stored)[:, part].to(self.device)
            if name not in filled:
                shape = (self.classes.samples, values.shape[1])
                filled[name] = torch.empty(shape, dtype=values.dtype, device=self.device)
            filled[name].index_copy_(0, self._rows[done[0] : done[0] + len(values)], values)

        self._run(list(by_name), keep, done=done)
        return filled

    def _run(self, names: Sequence[str], sink: Any, only_first: bool = False, done: list[int] | None = None) -> None:
        done = [0] if done is None else done
        seen: set[str] = set()

        def note(name: str, feature: Tensor) -> None:
            seen.add(name)
            sink(name, feature)

        with torch.inference_mode(), evaluating(self._model):
            for inputs in self._batches():
                done[0] += self._run_batch(names, inputs, note, done[0])
                if only_first:
                    break
        self._check(names, seen, None if only_first else done[0])

    def _run_batch(self, names: Sequence[str], inputs: Any, sink: Any, done: int) -> int:
        size = batch_size(inputs) or 0
        if done + size > self.classes.samples:
            self._check((), set(), done + size)
        with capture(self._model, names, stop=True, sink=sink):
            forward(self._model, to_device(inputs, self._model_device))
        return size

    def _check(self, names: Sequence[str], seen: set[str], samples: int | None) -> None:
        if samples is not None and samples != self.classes.samples:
            raise InvalidConfig(
                f"The batches hold {samples} samples or more, the labels {self.classes.samples}.",
                "Give one label a sample, and the same samples in the same order on every call.",
            )
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

    def blocks(self) -> Iterator[Tensor]:
        width = -(-self.dims // self._stored.pieces)
        for start in range(0, self.dims, width):
            part = slice(start, min(start + width, self.dims))
            (features,) = self._passes.fill([(self._stored, part)]).values()
            yield from MatrixColumns(features, None, self._buffer_bytes).blocks()
            del features
