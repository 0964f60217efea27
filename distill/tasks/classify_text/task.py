"""Text classification as a run drives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from distill.answers import Answer, ClassAnswer
from distill.layers import SequenceView
from distill.layers.sequence import Reads
from distill.models.language.config import head_reads
from distill.tasks._texts.delivery import ClassifierDelivery
from distill.tasks._texts.task import TextTask
from distill.tasks.base import Groups, Report
from distill.tasks.classify_text import SPEC
from distill.tasks.linear_probe import linear_probe
from distill.tasks.network import Network
from distill.tasks.probe_set import ProbeSet
from distill.tasks.weighing import drawn, in_the_fit, skew_warnings, weighed
from distill.training.data import TrainData
from distill.types import Layer, RunSpec
from distill.warned import RunWarning


class ClassifyText(TextTask):
    """One class a text, or a pair of texts."""

    spec, kind = SPEC, "classify"
    delivery = ClassifierDelivery(SPEC.name)

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        self.answer: Answer = ClassAnswer(run.config.label_smoothing)
        super().__init__(run, scratch)

    def weigh(self) -> dict[str, str]:
        self.answer, why = weighed(self.answer, self.config, self.classes, self.counts, self.device)
        return why | drawn(self.config, self.counts)

    @property
    def counts(self) -> Tensor:
        """(C,): training texts of each class."""
        return torch.bincount(self.dataset.train.labels[self.splits.train], minlength=len(self.classes))

    def cautions(self) -> list[RunWarning]:
        labels = self.dataset.train.labels
        return super().cautions() + skew_warnings(self.config, labels, self.classes, self.spec.samples)

    def train_data(self) -> TrainData:
        return replace(super().train_data(), class_weights=in_the_fit(self.answer, self.config, self.counts))

    def default_reads(self, config: Any) -> tuple[Reads, str]:
        reads = cast(Reads, head_reads(config))
        return reads, f"what the classification head reads: {reads}"

    def groups(self, network: Network) -> Groups:
        """One row a text: what the view reads of it, the mean where that is single tokens (**our choice**)."""
        view = SequenceView("mean") if self.view.per_token else self.view
        return self.grouped(network, self.samples("train", network), view)

    def worth(self, network: Network, layer: Layer) -> Report:
        return linear_probe(ProbeSet.of(self), network, layer)


ENTRY = ClassifyText
