"""A tiny real data path: fixed tensors, batches in an order drawn from (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.answers.base import Guess
from distill.recipe_parts.base import Recipe, Setup
from distill.training.data import Order, TrainData
from distill.types import DistillConfig

CLASSES = 4


@dataclass(frozen=True)
class TinyBatch:
    index: Tensor
    labels: Tensor
    student: Tensor
    teacher: Tensor | None

    @property
    def host_index(self) -> Tensor:
        return self.index


class TinySource:
    def __init__(self, images: Tensor, labels: Tensor, indices: list[int], order: Order, seed: int) -> None:
        self.images, self.labels, self.order, self.seed = images, labels, order, seed
        self.indices = torch.tensor(indices)
        size = len(indices) / order.batch_size
        self.batches_per_epoch = int(size) if order.drop_last else -int(-size // 1)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TinyBatch]:
        generator = torch.Generator().manual_seed(self.seed * 1000 + epoch)
        rows = torch.randperm(len(self.indices), generator=generator)
        rows = rows if self.order.shuffle else torch.arange(len(self.indices))
        for number in range(start, self.batches_per_epoch):
            size = self.order.batch_size
            index = self.indices[rows[number * size : (number + 1) * size]][self.order.rank :: self.order.world]
            images = self.images[index]
            yield TinyBatch(index, self.labels[index], images, images if self.order.teacher else None)


def tiny_data(train: int = 40, validation: int = 16, seed: int = 0, learnable: bool = True) -> TrainData:
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(train + validation) % CLASSES
    images = torch.randn(train + validation, 3, 8, 8, generator=generator)
    if learnable:
        images += 2 * torch.randn(CLASSES, 3, 1, 1, generator=generator)[labels]
    indices, held_out = list(range(train)), list(range(train, train + validation))
    return TrainData(
        open_train=lambda order: TinySource(images, labels, indices, order, seed),
        open_validation=lambda order: TinySource(images, labels, held_out, order, seed),
        indices=indices,
        guess=Guess.of(labels[held_out].tolist()),
    )


def network(width: int, seed: int, dropout: float = 0.1) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(width, width, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, CLASSES),
    )


class TinyRecipe(Recipe):
    """Logit matching and pooled-feature matching through a projector: what a real recipe needs of the loop."""

    needs_layers = False

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.projector = nn.Linear(CLASSES, 2)

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        logits = self.teacher(teacher_input)
        return {"logits": logits, "feature": logits[:, :2] * 2}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = self.student(student_input).float()
        parts = {
            "ce": nn.functional.cross_entropy(logits, labels),
            "logit": nn.functional.mse_loss(logits, targets["logits"]),
            "feature": nn.functional.mse_loss(self.projector(logits), targets["feature"]),
        }
        return {"loss": sum(parts.values()), **parts, "outputs": logits.detach()}


class Alone(Recipe):
    """Cross-entropy without a teacher."""

    needs_teacher = False
    needs_layers = False

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = self.student(student_input).float()
        return {"loss": nn.functional.cross_entropy(logits, labels), "outputs": logits.detach()}


def tiny_recipe(dropout: float = 0.1) -> TinyRecipe:
    recipe_seed = 3
    teacher = network(8, 5)
    student = network(6, recipe_seed, dropout)
    return TinyRecipe(Setup(student, teacher, CLASSES))


def alone(dropout: float = 0.1) -> Alone:
    return Alone(Setup(network(6, 3, dropout), None, CLASSES))


def config(**changes: Any) -> DistillConfig:
    base = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "device": "cpu", "precision": "fp32"}
    fixed = {"channels_last": False, "compile": False, "fit_head": False}
    return DistillConfig(**(base | fixed | changes))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
