"""Image regression as a run drives it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from distill.tasks.regress_images import SPEC
from distill.tasks.regress_images.answer import NumberAnswer
from distill.tasks.regress_images.inspect import numbers
from torch import Tensor, nn

from distill.export._base import Context
from distill.layers.forward import forward
from distill.models import Preprocessing, check, load
from distill.statistics import Z95, Difference
from distill.tasks._images.delivery import PictureDelivery
from distill.tasks._images.loading import header_of
from distill.tasks._images.seeing import Picture, seen
from distill.tasks.base import Groups, Report
from distill.tasks.classify_images.task import ClassifyImages
from distill.tasks.network import Network
from distill.training.data import Order, Source


class Valued:
    """A source of classes whose labels are the classes' values."""

    def __init__(self, source: Source, values: Tensor) -> None:
        self.source, self.values = source, values

    @property
    def batches_per_epoch(self) -> int:
        return self.source.batches_per_epoch

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        for batch in self.source.epoch(epoch, start):
            yield replace(batch, labels=self.values.to(batch.labels.device)[batch.labels])


class RegressImages(ClassifyImages):
    """The pictures and loaders of classification; the classes are values, and the network has one output."""

    spec = SPEC

    def open(self, scratch: Path) -> None:
        super().open(scratch)
        self.values = torch.tensor(numbers(self.classes))
        self.groups_of, self.classes, self.outputs, self.answer = len(self.classes), (), 1, NumberAnswer()

    def loader(self, indices: Tensor, order: Order) -> Source:
        return Valued(super().loader(indices, order), self.values)

    def plain_loader(self, split: Any, indices: Tensor, network: Network) -> Source:
        return Valued(super().plain_loader(split, indices, network), self.values)

    def train_data(self) -> Any:
        return replace(super().train_data(), guess=None)

    def groups(self, network: Network) -> Groups:
        return replace(super().groups(network), groups=self.groups_of)

    @torch.no_grad()
    def predict(self, network: Network) -> Any:
        network.module.to(self.device).eval()
        batches = [
            (forward(network.module, batch.student)[:, 0], batch.labels) for batch in self.test_source(network).epoch(0)
        ]
        return (torch.cat([found for found, _ in batches]) - torch.cat([label for _, label in batches])).double()

    def figures(self, network: Network, found: Any, teacher: Any | None) -> Report:
        loss = float(found.square().mean())
        return {"rmse": math.sqrt(loss), "loss": loss}

    def difference(self, first: Any, second: Any) -> Difference:
        value = math.sqrt(float(first.square().mean())) - math.sqrt(float(second.square().mean()))
        half = Z95 * float((first.square() - second.square()).std()) / math.sqrt(len(first))
        return Difference(value, value - half, value + half, len(first), abs(value) > half)

    @staticmethod
    def load_student(path: Path) -> Any:
        said = header_of(path)
        check(said.architecture, path, 1)
        return Regressor(load(said.architecture, path, 1), said.preprocessing, said.native)


@dataclass(frozen=True)
class Regressor:
    model: nn.Module
    preprocessing: Preprocessing
    native: tuple[int, int] | None

    @torch.inference_mode()
    def predict(self, images: Iterable[Picture]) -> list[float]:
        return [float(self.model(seen(image, self.preprocessing, self.native))) for image in images]


class NumberDelivery(PictureDelivery):
    def card(self, context: Context) -> str:
        figure = context.report["student"]["rmse"]
        return f"# {context.architecture.name}, {context.report['recipe']}\n\nRoot mean square error {figure:.3f}.\n"


RegressImages.delivery = NumberDelivery(SPEC.name, "rmse")
ENTRY = RegressImages
