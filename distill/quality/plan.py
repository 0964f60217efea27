"""How layers are scored within a byte budget: which share a forward pass, which are cut in columns or pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from distill.quality.classes import Classes
from distill.quality.kernel import block_groups, bunched, pairs
from distill.scoring_memory import Matrix, Sizes, held, needed_bytes, too_small
from distill.types import Layer

Oversize = Literal["auto", "blocks", "pool"]


@dataclass(frozen=True)
class Stored:
    """A layer as it is kept: `extent` is the spatial size it is pooled to (None: as it is), `dims` its columns of
    `item_bytes` each, `bytes` of all samples, `pieces` the forward passes it takes (1: kept whole)."""

    layer: Layer
    dims: int
    item_bytes: int
    bytes: int
    extent: tuple[int, ...] | None = None
    pieces: int = 1


@dataclass(frozen=True)
class Plan:
    """Groups of layers, one forward pass a group. A layer of several pieces is a group by itself, and takes a pass for
    each of them as often as its columns are read: `reads`. `matrix`: how every layer's Gram matrix is held."""

    groups: tuple[tuple[Stored, ...], ...]
    matrix: Matrix
    reads: int = 1

    @property
    def passes(self) -> int:
        pieces = (max(stored.pieces for stored in group) for group in self.groups)
        return sum(count * self.reads if count > 1 else 1 for count in pieces)


def sizes_of(classes: Classes) -> Sizes:
    """What the classes' blocks take."""
    groups = [sum(map(pairs, group)) for group in block_groups(classes)]
    return Sizes(classes.samples, max(map(pairs, classes.blocks())), max(groups), len(groups))


def make_plan(
    layers: Sequence[Layer],
    item_bytes: Sequence[int],
    classes: Classes,
    forward_bytes: Callable[[int], int],
    memory_bytes: int,
    oversize: Oversize,
    max_passes: int,
    bootstrap: int = 0,
) -> Plan:
    """A plan whose peak stays below `memory_bytes`: whole matrices where they fit, otherwise strips. `forward_bytes`:
    what a forward pass takes within a budget. Raises `InvalidConfig` when not even one column block would fit."""
    sizes, dims = sizes_of(classes), max(math.prod(layer.shape) for layer in layers)
    needed = needed_bytes(sizes, memory_bytes, forward_bytes, dims, bootstrap)
    if needed is not None:
        raise too_small(classes.samples, needed, memory_bytes)
    matrix, usable = held(sizes, memory_bytes, forward_bytes(memory_bytes), dims, bootstrap)
    return _fitted(layers, item_bytes, matrix, matrix.reads(sizes, bootstrap), usable, oversize, max_passes)


def _fitted(
    layers: Sequence[Layer],
    item_bytes: Sequence[int],
    matrix: Matrix,
    reads: int,
    usable: int,
    oversize: Oversize,
    max_passes: int,
) -> Plan:
    """Unpooled if it may be and takes at most `max_passes`; otherwise pooled, the largest layers first."""
    samples = matrix.samples

    def plan(cap: float) -> Plan:
        stored = [_stored(layer, size, samples, usable, cap) for layer, size in zip(layers, item_bytes, strict=True)]
        return Plan(_grouped(stored, usable), matrix, reads)

    whole = plan(math.inf)
    if oversize == "blocks" or (oversize == "auto" and whole.passes <= max_passes):
        return whole
    cap = usable / (samples * 4)  # pooled features are kept in float32
    pooled = plan(cap)
    while oversize == "auto" and pooled.passes > max_passes and cap >= 1:
        cap *= 0.8
        pooled = plan(cap)
    return pooled


def _stored(layer: Layer, item_bytes: int, samples: int, usable: int, cap: float) -> Stored:
    dims, extent = math.prod(layer.shape), None
    if dims > cap:
        extent = pooled_extent(layer.shape, cap)
        if extent is not None:
            dims, item_bytes = math.prod(extent) * _channels(layer.shape), 4
    total = samples * dims * item_bytes
    return Stored(layer, dims, item_bytes, total, extent, -(-total // usable))


def _grouped(stored: Sequence[Stored], usable: int) -> tuple[tuple[Stored, ...], ...]:
    """Consecutive layers that fit together."""
    return tuple(map(tuple, bunched(stored, lambda one: one.bytes, usable)))


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Is a feature (H, W, C) or (tokens, C), and not (C, H, W)? Square maps tell (**our choice**)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == shape[1] != shape[2])


def _channels(shape: tuple[int, ...]) -> int:
    return shape[-1] if is_channels_last(shape) else shape[0]


def spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that may be pooled: all but the channels; none of a vector."""
    if len(shape) < 2:
        return ()
    return shape[:-1] if is_channels_last(shape) else shape[1:]


def pooled_extent(shape: tuple[int, ...], cap: float) -> tuple[int, ...] | None:
    """The spatial size after division by the smallest integer that leaves at most `cap` values; 1 x 1 if none does;
    None where nothing can be pooled."""
    extent = spatial(shape)
    if not extent or len(extent) > 3 or max(extent) == 1:
        return None
    for divisor in range(2, max(extent) + 1):
        smaller = tuple(-(-size // divisor) for size in extent)
        if math.prod(smaller) * _channels(shape) <= cap:
            return smaller
    return (1,) * len(extent)
