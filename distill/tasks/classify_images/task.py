"""Image classification as a run drives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from distill.answers import ClassAnswer
from distill.answers.base import Guess
from distill.data.splits import stratified_sample
from distill.modalities.images import Loader, open_dataset
from distill.tasks._images.task import ImageTask, workers_of
from distill.tasks.base import Groups, Report, Split
from distill.tasks.classes import RowTask
from distill.tasks.classify_images import SPEC
from distill.tasks.classify_images.delivery import ClassifierDelivery
from distill.tasks.classify_images.student import load_classifier
from distill.tasks.linear_probe import linear_probe
from distill.tasks.network import Network
from distill.tasks.opening import share_of
from distill.training.data import Order, Source, TrainData
from distill.types import Layer


class ClassifyImages(RowTask, ImageTask):
    """One class a picture."""

    spec = SPEC
    delivery = ClassifierDelivery(SPEC.name, SPEC.primary.name)

    def open(self, scratch: Path) -> None:
        self.dataset = open_dataset(self.run.dataset, scratch=scratch)
        self.classes, self.outputs = self.dataset.classes, len(self.dataset.classes)
        self.answer = ClassAnswer()

    def strata(self, split: Split) -> Tensor:
        labels: Tensor = getattr(self.dataset, split).labels
        return labels

    def loader(self, indices: Tensor, order: Order) -> Source:
        data, config = self.dataset.train, self.config
        teacher = self.teacher.preprocessing if self.teacher and order.teacher else None
        return Loader(
            data, indices, share_of(order), self.student.preprocessing, teacher,
            augmentation=config.augmentation if order.augment else "none", seed=config.seed,
            shuffle=order.shuffle, drop_last=order.drop_last, device=order.device,
            workers=workers_of(data), rank=order.rank, world=order.world,
        )  # fmt: skip

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        samples = getattr(self.dataset, split)
        return Loader(
            samples, indices, self.evaluation_batch, network.preprocessing, shuffle=False, drop_last=False,
            device=self.device, workers=workers_of(samples),
        )  # fmt: skip

    def train_data(self) -> TrainData:
        return replace(super().train_data(), guess=Guess.of(self.strata("train")[self.splits.validation].tolist()))

    def groups(self, network: Network) -> Groups:
        """One row a picture, grouped by its class (docs/methods.md, section 1)."""
        labels, train = self.strata("train"), self.splits.train
        sample = train[stratified_sample(labels[train], self.config.quality_samples, self.config.seed)]
        source = self.plain_loader("train", sample, network)
        return Groups(sample, labels[sample], len(self.classes), lambda: (batch.student for batch in source.epoch(0)))

    def undeliverable(self, network: Network) -> str | None:
        if self.teacher_classes.same:
            return None
        return f"the teacher's classifier, which it ends in, answers other classes ({self.teacher_classes.reason})"

    def worth(self, network: Network, layer: Layer) -> Report:
        return linear_probe(self, network, layer)

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_classifier(path)


ENTRY = ClassifyImages
