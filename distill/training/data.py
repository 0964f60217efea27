"""What `train` reads: batches in an order that depends on nothing but seed, epoch and index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from distill.answers.base import Guess
from distill.data.packing import WHOLE_ROWS, Packing


class Batch(Protocol):
    """`index`: positions in the dataset's training samples (n,), `host_index` the same on the CPU; `student`,
    `teacher`: inputs (teacher may be None)."""

    @property
    def index(self) -> Tensor: ...
    @property
    def host_index(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def student(self) -> Any: ...
    @property
    def teacher(self) -> Any: ...


class Source(Protocol):
    """`distill.modalities.images.Loader`, as far as training needs it."""

    @property
    def batches_per_epoch(self) -> int: ...
    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]: ...


@dataclass(frozen=True)
class Order:
    """How a source shall deliver: to which device, in which order, which part of every batch (`rank` of `world`).

    `batch_size` is the whole batch's, over all processes. `evenly`: a shuffled epoch draws the classes evenly.
    """

    batch_size: int
    device: torch.device
    shuffle: bool
    drop_last: bool
    teacher: bool
    augment: bool
    rank: int = 0
    world: int = 1
    evenly: bool = False


@dataclass(frozen=True)
class TrainData:
    """Training and validation samples. `open_train(order)` and `open_validation(order)` make sources; `indices`: the
    positions that batches name in `index`; `size` samples in all. `guess`: what guessing reaches on the validation
    samples, where the task can tell; `packing`: how a cache keeps the teacher's targets of a sample; `peak`: the
    learning rate for `auto`, with its reason, where the student does not tell it; `taken`: names of the student's
    tensors that do not start from noise; `labelled`: positions (n,) of the training samples that have a label, where
    not all do, and `open_labelled(order)`, a source of them; `class_weights` (C,): how much each class counts in the
    fit of the classifier, as it did in training; None: alike."""

    open_train: Callable[[Order], Source]
    open_validation: Callable[[Order], Source]
    indices: Sequence[int]
    guess: Guess | None = None
    packing: Packing = WHOLE_ROWS
    peak: tuple[float, str] | None = None
    taken: frozenset[str] = frozenset()
    labelled: Sequence[int] | None = None
    open_labelled: Callable[[Order], Source] | None = None
    class_weights: Tensor | None = None

    def head_source(self, order: Order) -> Source:
        """What the last classifier is fitted on: samples with labels."""
        return (self.open_labelled or self.open_train)(order)

    @property
    def head_size(self) -> int:
        return self.size if self.labelled is None else len(self.labelled)

    @property
    def size(self) -> int:
        return len(self.indices)
