"""Image classification as a run drives it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.answers import Answer, ClassAnswer
from distill.answers.base import Guess
from distill.answers.classes import PartlyLabelledAnswer
from distill.answers.features import FeatureAnswer
from distill.data.splits import stratified_sample
from distill.modalities.images import Dataset, Loader, Samples, open_dataset
from distill.modalities.images.mixing import MixedLoader, Mixing
from distill.tasks._images.task import ImageTask, workers_of
from distill.tasks.base import Groups, Report, Split
from distill.tasks.classes import RowTask
from distill.tasks.classify_images import SPEC
from distill.tasks.classify_images.delivery import ClassifierDelivery
from distill.tasks.classify_images.student import load_classifier
from distill.tasks.classify_images.without_labels import (
    OF_FEATURES,
    VALIDATED,
    check_headless,
    described,
    probe_of,
    probe_splits,
)
from distill.tasks.linear_probe import linear_probe, neighbours, rows_at
from distill.tasks.network import Network
from distill.tasks.opening import check_label_settings, check_labels, share_of
from distill.tasks.probe_set import ProbeSet
from distill.tasks.pseudo_classes import DEFAULT, pseudo_classes
from distill.tasks.spec import Metric
from distill.tasks.teacher_set import weights_of
from distill.tasks.weighing import drawn, in_the_fit, skew_warnings, weighed
from distill.training.data import Order, Source, TrainData
from distill.types import Layer
from distill.unlabelled import NO_LABEL
from distill.warned import RunWarning


class ClassifyImages(RowTask, ImageTask):
    """One class a picture."""

    spec = SPEC
    probe: Dataset | None = None
    delivery = ClassifierDelivery(SPEC.name, SPEC.primary.name, "knn", "linear_probe")

    def open(self, scratch: Path) -> None:
        self.dataset = open_dataset(self.run.dataset, scratch=scratch)
        self.classes, self.outputs = self.dataset.classes, len(self.dataset.classes)
        self.probe = probe_of(self.run, self.classes, scratch)
        if not self.classes:
            check_labels(self.spec, self.run)
            check_headless(self.run)
        self.answer = self._answer()

    def _answer(self) -> Answer:
        unlabelled = 0 if self.recipe.needs_labels else int((self.strata("train") == NO_LABEL).sum())
        check_label_settings(self.config, unlabelled, bool(self.classes))
        if not self.classes:
            return FeatureAnswer()
        kind = PartlyLabelledAnswer if unlabelled else ClassAnswer
        return kind(self.config.label_smoothing)

    def weigh(self) -> dict[str, str]:
        if not self.answer.taught:
            return {}
        self.answer, why = weighed(self.answer, self.config, self.classes, self.counts, self.device)
        return why | drawn(self.config, self.counts, len(self.splits.train) - len(self.labelled))

    @property
    def counts(self) -> Tensor:
        """(C,): training samples of each class."""
        return torch.bincount(self.strata("train")[self.labelled], minlength=len(self.classes))

    def cautions(self) -> list[RunWarning]:
        return super().cautions() + skew_warnings(self.config, self.strata("train"), self.classes, self.spec.samples)

    def validation(self) -> Tensor | None:
        train: Samples = self.dataset.train
        return train.held_out(self.config.validation_fraction, self.config.train_limit)

    def strata(self, split: Split) -> Tensor:
        labels: Tensor = getattr(self.dataset, split).labels
        return labels

    def loader(self, indices: Tensor, order: Order) -> Source:
        data, config = self.dataset.train, self.config
        teacher = self.teacher.preprocessing if self.teacher and order.teacher else None
        mixing = order.augment and config.mixup + config.cutmix > 0
        before = mixing and order.world > 1
        loader = Loader(
            data, indices, share_of(order), self.student.preprocessing, teacher,
            augmentation=config.augmentation if order.augment else "none", seed=config.seed,
            shuffle=order.shuffle, drop_last=order.drop_last, device=order.device,
            workers=workers_of(data), rank=order.rank, world=order.world, evenly=order.evenly,
            before=before,
        )  # fmt: skip
        if not mixing:
            return loader
        return MixedLoader(loader, Mixing(config.mixup, config.cutmix, config.seed, len(self.classes)), before)

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        return self.plainly(self.dataset, split, indices, network)

    def plainly(self, data: Dataset, split: Split, indices: Tensor, network: Network) -> Source:
        """Samples of any dataset, in order, as the network sees them."""
        samples = getattr(data, split)
        return Loader(
            samples, indices, self.evaluation_batch, network.preprocessing, shuffle=False, drop_last=False,
            device=self.device, workers=workers_of(samples),
        )  # fmt: skip

    def train_data(self) -> TrainData:
        data = super().train_data()
        if not self.answer.taught:
            return data
        data = replace(
            data, guess=Guess.of(self.strata("train")[self.splits.validation].tolist()),
            class_weights=in_the_fit(self.answer, self.config, self.counts),
        )  # fmt: skip
        labelled = self.labelled
        if len(labelled) == data.size:
            return data
        return replace(data, labelled=labelled.tolist(), open_labelled=lambda order: self.loader(labelled, order))

    @property
    def labelled(self) -> Tensor:
        """Positions of the training samples that have a label, in the dataset's training split."""
        train = self.splits.train
        return train[self.strata("train")[train] != NO_LABEL]

    @property
    def metrics_shown(self) -> tuple[Metric, ...]:
        return self.spec.metrics if self.answer.taught else OF_FEATURES

    @property
    def validated(self) -> Metric:
        return self.spec.primary if self.answer.taught else VALIDATED

    def taught_source(self) -> Source:
        assert self.teacher is not None
        data = self.dataset.test
        return Loader(
            data, self.splits.test, self.evaluation_batch, self.student.preprocessing, self.teacher.preprocessing,
            shuffle=False, drop_last=False, device=self.device, workers=workers_of(data),
        )  # fmt: skip

    def about_data(self) -> Report:
        return {"unlabelled": len(self.splits.train) - len(self.labelled)}

    def notes(self) -> list[str]:
        unlabelled = int((self.strata("train") == NO_LABEL).sum())
        if unlabelled and self.recipe.needs_labels:
            return [
                f"The recipe {self.config.recipe} learns from labels alone: {unlabelled:,} training images without one "
                "were not used."
            ]
        used = len(self.splits.train) - len(self.labelled)
        if not used or not self.answer.taught:
            return []
        return [
            f"Of {len(self.splits.train):,} training images {used:,} have no label: they train by what the teacher "
            "makes of them. The loss on labels, the classifier, and every figure are of images with a label."
        ]

    def groups(self, network: Network) -> Groups:
        """One row a picture, grouped by its class (docs/methods.md, section 1); where there are no labels, or the run
        asks for it, by k-means of the network's deepest feature."""
        labels, clusters = self.strata("train"), self.clusters
        pseudo = clusters is not None
        train = self.splits.train if pseudo else self.labelled
        drawn = torch.zeros(len(train)) if pseudo else labels[train]
        sample = train[stratified_sample(drawn, self.config.quality_samples, self.config.seed)]
        source = self.plain_loader("train", sample, network)
        found = Groups(sample, labels[sample], len(self.classes), lambda: (batch.student for batch in source.epoch(0)))
        if clusters is None:
            return found
        rows = rows_at(network, self.layers(network)[-1], source, self.view)
        own = pseudo_classes(rows.features, min(clusters, len(sample)), self.config.seed)
        count = int(own.max()) + 1
        names = tuple(f"cluster {number}" for number in range(count))
        return replace(found, labels=own, groups=count, grouping="pseudo_classes", names=names)

    @property
    def clusters(self) -> int | None:
        """How many clusters group the rows of the Q curve; None: the labels do."""
        if self.config.pseudo_classes != "auto":
            return self.config.pseudo_classes
        return None if self.answer.taught else DEFAULT

    def decided(self) -> dict[str, Any]:
        several = len(self.teachers) > 1
        weights = list(weights_of(self.config.teacher_weights, len(self.teachers))) if several else None
        return super().decided() | {"pseudo_classes": self.clusters, "teacher_weights": weights}

    def undeliverable(self, network: Network) -> str | None:
        if self.teacher_classes.same:
            return None
        return f"the teacher's classifier, which it ends in, answers other classes ({self.teacher_classes.reason})"

    def worth(self, network: Network, layer: Layer) -> Report:
        """By the dataset's own labels, or where there are none by those of the probe set."""
        if self.answer.taught:
            return linear_probe(ProbeSet.of(self, self.labelled), network, layer)
        if self.probe is None:
            return {"probe": {"layer": layer.name, "reason": "the pictures have no labels, and the job names no probe"}}
        splits, data = probe_splits(self.config, self.probe), self.probe
        given = ProbeSet(splits, len(data.classes), partial(self.plainly, data), self.view, self.config.seed)
        return neighbours(given, network, layer) | linear_probe(given, network, layer)

    def about_probe(self) -> Report | None:
        return None if self.probe is None else described(self.probe, probe_splits(self.config, self.probe))

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_classifier(path)


ENTRY = ClassifyImages
