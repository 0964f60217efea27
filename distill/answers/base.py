"""The interface of an answer: a task has one, and recipes, loop, meter and evaluation ask it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from distill.answers.outputs import logits_of
from distill.answers.regions import Regions
from distill.errors import InvalidConfig
from distill.layers.forward import forward

Distance = Callable[[Tensor, Tensor], Tensor]
"""(student (m, C), teacher (m, C)) logits -> a scalar, the mean over the m rows."""


@dataclass(frozen=True)
class Compared:
    """What the losses compare: a network's `outputs`, the `labels` and the teacher's `targets`, as `Answer.compare`
    brought them together."""

    outputs: Any
    labels: Any
    targets: Mapping[str, Tensor] = field(default_factory=dict)


class Answer(ABC):
    """How the answers of one task are read, taught and counted.

    `loss_name`: what the loss on the labels is called in metrics. `primary`: the figure of `values` by which the best
    student is kept; `higher_is_better`: its direction. `counts_in_training`: whether the figures are worth their time
    on training batches too, and not on held-out samples alone. `maps`: whether networks give a map of logits a class,
    (n, C, h, w). `taught`: whether labels teach; where none do, a held-out loss is the recipe's own. `places`:
    whether labels say where in the input objects are (`regions`). `class_weights`
    (C,): how much each class counts in `loss`; None: alike. All methods leave the model's device alone: no transfer, no
    synchronisation, unless they say so.
    """

    class_weights: Tensor | None = None

    loss_name: ClassVar[str] = "cross_entropy"
    primary: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    counts_in_training: ClassVar[bool] = True
    maps: ClassVar[bool] = False
    taught: ClassVar[bool] = True
    places: ClassVar[bool] = False

    # -- training -----------------------------------------------------------------------------------------------------

    def compare(self, output: Any, labels: Any, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """A network's raw output (or its logits) with labels and the teacher's targets, brought to what `loss` and
        `divergence` compare. Unless overridden: the logits, and the rest as it is."""
        return Compared(logits_of(output), labels, targets or {})

    def weighing(self, class_weights: Tensor) -> Self:
        """The same answer with classes that count differently in training."""
        found = copy(self)
        found.class_weights = class_weights
        return found

    @abstractmethod
    def loss(self, compared: Compared) -> Tensor:
        """The task's own loss on the labels: a scalar in fp32, a mean over what `weight` counts."""

    def validation_loss(self, compared: Compared) -> Tensor:
        """`loss` as held-out samples are judged by: without what training alone adds to it."""
        return self.loss(compared)

    def ask(self, teacher: nn.Module, given: Any) -> dict[str, Tensor]:
        """What of a teacher `divergence` compares with, of an input `given`: name -> tensor, first axis the batch.
        Unless overridden its logits."""
        return {"logits": logits_of(forward(teacher, given))}

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """How far the outputs are from `targets["logits"]`: `distance` of the two, a scalar."""
        return distance(compared.outputs, compared.targets["logits"])

    def regions(self, labels: Any, size: tuple[int, int]) -> Regions:
        """Where the labelled objects are, in inputs of `size` (height, width). Raises `InvalidConfig` where labels have
        no `places`."""
        raise InvalidConfig("These labels have no places in the input.", "Use another recipe.", {})

    def mean(self, outputs: Sequence[Any]) -> Any:
        """The mean of several networks' compared outputs, detached, in fp32."""
        return torch.stack([each.detach().float() for each in outputs]).mean(0)

    @abstractmethod
    def weight(self, labels: Any) -> int | Tensor:
        """How many predictions the loss of a batch is a mean over: the batch's weight in sums over batches of unequal
        size. A scalar tensor on the device avoids a synchronisation."""

    def loss_weight(self, labels: Any) -> int | Tensor:
        """How many predictions the loss on the labels is a mean over, where some samples have none; else `weight`."""
        return self.weight(labels)

    # -- counting -----------------------------------------------------------------------------------------------------

    def figures(self, outputs: Any, labels: Any) -> dict[str, Tensor]:
        """What one batch adds to the running figures: name -> tensor of sums in fp64. `outputs` are those of
        `compare`, `labels` the batch's own."""
        return {}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        """The figures of a window from the sums over its batches, on the CPU. `count`: the sum of `weight`. Unless
        overridden: each sum divided by the count."""
        return {name: float(value) / count for name, value in sums.items()}

    def better(self, value: float, than: float) -> bool:
        """Whether a value of `primary` is at least as good as another."""
        return value >= than if self.higher_is_better else value <= than

    # -- judging ------------------------------------------------------------------------------------------------------

    def tally(self, outputs: Any, labels: Any) -> Tensor | None:
        """The batch's part of the sums that `at_chance` needs beside the metrics; None where it needs none."""
        return None

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """What is wrong with a finished student that knows no more than guessing does; None: it knows something, or
        the task cannot tell. `values`: of the validation samples; `guess`: what is known of them without a student;
        `tally` costs one more pass over them."""
        return None

    def no_fit(self) -> str:
        """Why the last layer cannot be fitted anew to labels of one class a row (`distill.training.head`); empty where
        it can."""
        return "its answers are not one class a sample"


@dataclass(frozen=True)
class Guess:
    """What guessing reaches on `count` predictions: always the commonest label is right for the share `majority`."""

    majority: float
    count: int

    @classmethod
    def of(cls, labels: Sequence[int]) -> Guess | None:
        """From the labels; None without any."""
        if not len(labels):
            return None
        counts = torch.bincount(torch.as_tensor(labels))
        return cls(int(counts.max()) / len(labels), len(labels))
