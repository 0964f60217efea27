"""Score a model's layers one after the other within a byte budget: the Q curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from distill import processes
from distill.errors import InvalidConfig
from distill.layers import WHOLE, FeatureView
from distill.quality.bootstrap import check_replicates, standard_errors
from distill.quality.classes import Classes, check_train_size, group
from distill.quality.gram import Columns, MatrixColumns, PickedColumns
from distill.quality.kernel import Kernel, StripKernel, WholeKernel
from distill.quality.metric import from_kernel
from distill.quality.passes import Batches, PassColumns, Passes
from distill.quality.plan import Oversize, Plan, Stored, make_plan
from distill.scoring_memory import Matrix
from distill.types import Layer, LayerQuality

FORWARD_SHARE = 0.25  # of the budget: larger batches are run in parts


def score(  # noqa: PLR0913 - the public entry, options by keyword
    model: nn.Module,
    layers: Sequence[Layer],
    batches: Batches,
    labels: Tensor | Sequence[int],
    train_size: int,
    memory_bytes: int = 2 * 2**30,
    *,
    bootstrap: int = 0,
    seed: int = 0,
    oversize: Oversize = "auto",
    max_passes: int = 8,
    view: FeatureView = WHOLE,
    counted: Mapping[str, Tensor] | None = None,
) -> Iterator[LayerQuality]:
    """Yield the quality of each layer in execution order, as soon as its group has been scored.

    `layers`: from `discover`; `batches`: called once a forward pass, gives an iterator of model inputs (tensor, tuple
    or mapping) for the same N samples in the same order; `labels` (N,); `train_size`: M of docs/methods.md, section 1.
    `memory_bytes`: peak memory beyond what is held before (model, sample), on the model's device; batches that would
    take more than a quarter of it are run in parts. Layers that fit together share one forward pass. One that does
    not fit alone is cut into column blocks, one pass each, which is exact (`blocks`), or average-pooled until it fits,
    marked `pooled` (`pool`); `auto` is exact where the whole curve takes at most `max_passes` passes, and otherwise
    pools the largest layers first until it does (**our choice**).
    `view`: what of a feature counts; `layers` then have its rows' shapes. A view that makes several rows of a sample
    (the regions of a mask) wants batches that are `Marked`, and `labels` has one entry a row: N counts rows.
    `counted`: by layer, which of the N rows count there, (N,) bool; a layer that it does not name is scored on all.
    A layer's values are those of its own rows, and its `samples` says how many they are.
    `bootstrap`: replicates for standard errors, at least 2, or 0 for none; `seed` draws them.

    Runs in eval mode without gradient, modes put back; writes nothing to disk. Nothing runs before the first `next`.
    Of several processes all must call it alike: they share the forward passes by batches, and the layers of a group.
    Raises `InvalidDataset` (one class), `InvalidConfig` (budget, labels, `train_size`, `bootstrap`),
    `NonFiniteFeatures` with the layer's name.
    """
    check_replicates(bootstrap)
    check_train_size(train_size)
    passes = Passes(model, batches, group(labels), view)
    plan = _planned(passes, layers, memory_bytes, oversize, max_passes, bootstrap)
    passes.reserve(plan.groups)
    kernel = partial(_kernel, plan.matrix, passes.device)
    measured = partial(
        _measured, kernel=kernel, train_size=train_size, bootstrap=bootstrap, seed=seed, together=plan.matrix.together
    )

    def measure(stored: Stored, columns: Columns) -> LayerQuality:
        return measured(stored, _Rows.of(columns, passes.classes, (counted or {}).get(stored.layer.name)))

    for members in plan.groups:
        yield from _group(passes, members, plan.matrix.buffer_bytes, measure)


def _planned(
    passes: Passes, layers: Sequence[Layer], memory_bytes: int, oversize: Oversize, max_passes: int, bootstrap: int
) -> Plan:
    names = [layer.name for layer in layers]
    if not names or len(set(names)) != len(names):
        raise InvalidConfig("The layers to score are none, or one is named twice.", "Use `discover`'s layers.")
    probe = passes.probe(names)
    item_bytes = [probe.item_bytes[name] for name in names]

    def rows_at_once(memory: int) -> int:
        return max(min(int(memory * FORWARD_SHARE) // max(probe.row_bytes, 1), probe.rows), 1)

    passes.rows_at_once = rows_at_once(memory_bytes)
    return make_plan(
        layers, item_bytes, passes.classes, lambda memory: rows_at_once(memory) * probe.row_bytes, memory_bytes,
        oversize, max_passes, bootstrap,
    )  # fmt: skip


def _group(
    passes: Passes, members: Sequence[Stored], buffer_bytes: int, measure: Callable[[Stored, Columns], LayerQuality]
) -> Iterator[LayerQuality]:
    """Every layer of a group; a layer's features are let go before the next is measured. Several processes take turns
    at the layers. One that takes several passes they measure all, since each reads it by passes of all."""
    if members[0].pieces > 1:
        yield measure(members[0], PassColumns(passes, members[0], buffer_bytes))
        return
    filled, found = passes.fill([(stored, slice(None)) for stored in members]), list[LayerQuality]()
    for number, stored in enumerate(members, 1):
        features = filled.pop(stored.layer.name)
        if processes.mine(number - 1):
            found.append(measure(stored, MatrixColumns(features, None, buffer_bytes)))
        if number % processes.world() == 0 or number == len(members):
            yield from (layer for part in processes.gathered(found) for layer in part)
            found.clear()


@dataclass(frozen=True)
class _Rows:
    """What of a layer is scored. `samples`: how many rows, None where it is all."""

    columns: Columns
    classes: Classes
    samples: int | None = None

    @classmethod
    def of(cls, columns: Columns, classes: Classes, counted: Tensor | None) -> _Rows:
        if counted is None or bool(counted.all()):
            return cls(columns, classes)
        own, rows = classes.of(counted)
        return cls(PickedColumns(columns, rows), own, own.samples)


def _kernel(matrix: Matrix, device: torch.device, columns: Columns, samples: int) -> Kernel:
    """A layer's Gram matrix, held as planned."""
    if matrix.height is None:
        return WholeKernel(columns, samples, device)
    return StripKernel(columns, samples, device, min(matrix.height, samples))


def _measured(
    stored: Stored,
    scored: _Rows,
    kernel: Callable[[Columns, int], Kernel],
    train_size: int,
    bootstrap: int,
    seed: int,
    together: int,
) -> LayerQuality:
    layer, classes, columns = stored.layer, scored.classes, scored.columns
    matrix = kernel(columns, classes.samples)
    quality, refined = from_kernel(matrix, columns, classes, train_size, layer.name)
    errors = None
    if bootstrap:
        geometry = matrix.centred() if refined else matrix
        errors = standard_errors(matrix, geometry, classes, train_size, bootstrap, seed, together)
    values = {name: value for name, value in asdict(quality).items() if name not in ("intra", "inter")}
    return LayerQuality(
        **asdict(layer), **values, pooled=stored.extent is not None, standard_error=errors, samples=scored.samples
    )  # fmt: skip
