"""Labelled samples by which features are judged: a run's own, or a small set that the job names beside pictures without
labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from distill.layers import FeatureView
from distill.tasks.base import Split, Splits, Task
from distill.tasks.network import Network
from distill.training.data import Source

Loading = Callable[[Split, Tensor, Network], Source]


@dataclass(frozen=True)
class ProbeSet:
    """`splits`: positions, all of samples with a label; `classes`: how many there are; `loader(split, positions,
    network)`: the samples in order as the network sees them; `view`: what of a feature counts; `seed`: of the choice of
    training samples."""

    splits: Splits
    classes: int
    loader: Loading
    view: FeatureView
    seed: int

    @classmethod
    def of(cls, task: Task, train: Tensor | None = None) -> ProbeSet:
        """The run's own samples; `train`: those of the training samples that have a label, where not all do."""
        splits = task.splits if train is None else Splits(train, task.splits.validation, task.splits.test)
        return cls(splits, len(task.classes), task.plain_loader, task.view, task.config.seed)

    def training(self, network: Network, positions: Tensor) -> Source:
        return self.loader("train", positions, network)

    def tested(self, network: Network) -> Source:
        return self.loader("test", self.splits.test, network)
