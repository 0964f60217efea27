"""Multi-label image classification as a run drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.answers.base import Guess
from distill.data.splits import stratified_sample
from distill.disagreement import Apart, Look, in_batches
from distill.errors import InvalidConfig
from distill.export import Context
from distill.modalities.images import Loader
from distill.modalities.images.mixing import MixedLoader, Mixing
from distill.statistics import Difference
from distill.tasks._images.task import ImageTask, workers_of
from distill.tasks.base import Groups, Report, Split
from distill.tasks.network import Network
from distill.tasks.opening import share_of
from distill.tasks.tag_images import SPEC
from distill.tasks.tag_images.answer import TagAnswer
from distill.tasks.tag_images.apart import APART, of_labels
from distill.tasks.tag_images.delivery import TagContext, TagDelivery
from distill.tasks.tag_images.samples import TaggedSamples, open_dataset
from distill.tasks.tag_images.scores import SAID, Scores, difference, figures, scored
from distill.tasks.tag_images.student import load_tagger
from distill.training.data import Order, Source, TrainData
from distill.types import DistillConfig, RunSpec


class TagImages(ImageTask):
    """Any number of classes a picture."""

    spec = SPEC
    intervals = "bootstrap intervals over images"
    delivery = TagDelivery(SPEC.name, SPEC.primary.name)

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        check_mixing(run.config)
        super().__init__(run, scratch)

    def open(self, scratch: Path) -> None:
        self.dataset = open_dataset(self.run.dataset, scratch=scratch)
        self.classes, self.outputs = self.dataset.classes, len(self.dataset.classes)
        self.answer = TagAnswer(self.config.label_smoothing)

    def samples(self, split: Split) -> TaggedSamples:
        found: TaggedSamples = getattr(self.dataset, split)
        return found

    def strata(self, split: Split) -> Tensor:
        return self.samples(split).strata

    def loader(self, indices: Tensor, order: Order) -> Source:
        data, config = self.samples("train"), self.config
        teacher = self.teacher.preprocessing if self.teacher and order.teacher else None
        mixing = order.augment and config.mixup > 0
        before = mixing and order.world > 1
        loader = Loader(
            data, indices, share_of(order), self.student.preprocessing, teacher,
            augmentation=config.augmentation if order.augment else "none", seed=config.seed,
            shuffle=order.shuffle, drop_last=order.drop_last, device=order.device,
            workers=workers_of(data), rank=order.rank, world=order.world, before=before,
        )  # fmt: skip
        if not mixing:
            return loader
        return MixedLoader(loader, Mixing(config.mixup, 0.0, config.seed, len(self.classes)), before)

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        samples = self.samples(split)
        return Loader(
            samples, indices, self.evaluation_batch, network.preprocessing, shuffle=False, drop_last=False,
            device=self.device, workers=workers_of(samples),
        )  # fmt: skip

    def train_data(self) -> TrainData:
        held = self.samples("train").labels[self.splits.validation]
        share = held.double().mean(0)
        known = share[share > 0]
        return replace(super().train_data(), guess=Guess(float(known.mean()), len(held)) if len(known) else None)

    # -- scoring ------------------------------------------------------------------------------------------------------

    def groups(self, network: Network) -> Groups | str:
        """One row a picture, grouped by its label that the fewest training pictures have; pictures without a label are
        left out. **Our choice** (arXiv 2511.14981 knows one class a sample). A row for each label of a picture would
        put the same point into several groups, whose distance is then 0, so that E = 0 and Q = S whatever the layer;
        one class against the rest makes a group of what has nothing in common. On made-up layers this grouping ranks
        layers as pictures with one class each do (benchmarks/results/quality-label-groups.md)."""
        train, labels = self.splits.train, self.strata("train")
        known = train[labels[train] < len(self.classes)]
        if len(set(labels[known].tolist())) < 2:
            return "fewer than two labels are the rarest of a training picture"
        sample = known[stratified_sample(labels[known], self.config.quality_samples, self.config.seed)]
        groups, numbers = np.unique(labels[sample].numpy(), return_inverse=True)
        source = self.plain_loader("train", sample, network)
        return Groups(
            sample, torch.from_numpy(numbers), len(groups), lambda: (batch.student for batch in source.epoch(0)),
            names=tuple(self.classes[number] for number in groups),
        )  # fmt: skip

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def predict(self, network: Network) -> Scores:
        return scored(network.module, self.test_source(network), self.device)

    def figures(self, network: Network, found: Scores, teacher: Any | None) -> Report:
        return figures(found, self.classes, teacher)

    def apart(self, student: Scores, teacher: Scores) -> Apart:
        """The mean over the classes of the Jensen-Shannon divergence of having it, in bits, in [0, 1]."""

        def look(places: Sequence[int]) -> list[Look]:
            return [self._seen(student, teacher, place) for place in places]

        return Apart(
            in_batches(of_labels, student.logits, teacher.logits), "jensen_shannon", APART, self.splits.test, look
        )

    def _seen(self, student: Scores, teacher: Scores, place: int) -> Look:
        def names(row: Tensor) -> list[str]:
            return [self.classes[number] for number in row.nonzero()[:, 0].tolist()]

        told = {"label": {"labels": names(student.labels[place])}}
        told |= {name: {"labels": names(each.said[place])} for name, each in
                 (("student", student), ("teacher", teacher))}  # fmt: skip
        return self.sight(int(self.splits.test[place])).telling(told)

    def difference(self, first: Scores, second: Scores) -> Difference:
        return difference(first, second)

    def about_data(self) -> Report:
        """`labels_per_image`: the mean over the training samples; `without_label`: how many of them have none."""
        counts = self.samples("train").labels[self.splits.train].sum(1)
        return {"labels_per_image": float(counts.double().mean()), "without_label": int((counts == 0).sum())}

    @property
    def threshold(self) -> float:
        return SAID if self.config.threshold == "auto" else self.config.threshold

    def decided(self) -> dict[str, Any]:
        return super().decided() | {"threshold": self.threshold}

    def context(self, network: Network, report: Report) -> Context:
        return super().context(network, report).widened(TagContext, threshold=self.threshold)

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_tagger(path)


def check_mixing(config: DistillConfig) -> None:
    """Raises `InvalidConfig` for CutMix: a part that is cut out of a picture may hold none of the things that its
    labels name, and its area does not say how many."""
    if config.cutmix:
        raise InvalidConfig(
            "CutMix cuts out of a picture what its labels name, and cannot tell which: it is not for lists of labels.",
            "Use mixup, whose pictures show everything that both show.",
            {"field": "cutmix", "value": config.cutmix},
        )


ENTRY = TagImages
