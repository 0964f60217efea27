"""A network's scores on the test images, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from distill import offload, processes
from distill.answers import logits_of
from distill.bootstrap import differing, entry, replicated, share
from distill.layers.forward import forward
from distill.statistics import Difference
from distill.tasks.tag_images.answer import binary_cross_entropy
from distill.tasks.tag_images.average_precision import Ranking, macro
from distill.training.data import Source

SAID = 0.5
"""Probability from which a class counts as said, in F1, subset accuracy and agreement."""


@dataclass(frozen=True)
class Scores:
    """Of n test images, on the CPU: `logits` (n, C) fp32, `labels` (n, C) bool; `loss`: the mean binary
    cross-entropy."""

    logits: Tensor
    labels: Tensor
    loss: float

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def said(self) -> Tensor:
        """(n, C) bool: the classes of a probability of at least 0.5."""
        return self.logits >= 0

    @cached_property
    def rankings(self) -> list[Ranking]:
        return [Ranking(self.logits[:, c], self.labels[:, c]) for c in range(self.labels.shape[1])]

    def average_precisions(self, weights: Tensor) -> Tensor:
        """Weights (r, n) of the images -> (r, C); NaN where no weighted image has the class."""
        return torch.stack([ranking.average_precision(weights) for ranking in self.rankings], 1)

    @cached_property
    def whole(self) -> Tensor:
        """(C,) average precision of each class."""
        return self.average_precisions(torch.ones(1, len(self), dtype=torch.double))[0]

    @cached_property
    def replicates(self) -> Tensor:
        """(REPLICATES, C): the same of every bootstrap sample."""
        return replicated(len(self), self.average_precisions)

    @property
    def mean_average_precision(self) -> float:
        """Over the classes that an image has."""
        return float(macro(self.whole))

    def f1(self, weights: Tensor) -> Tensor:
        """(r, n) -> (r, C): 2 TP / (2 TP + FP + FN), 0 where a class neither is there nor said."""
        hits = weights @ (self.said & self.labels).double()
        either = weights @ self.said.double() + weights @ self.labels.double()
        return 2 * hits / either.clamp(min=torch.finfo(torch.double).tiny)

    def macro_f1(self, weights: Tensor) -> Tensor:
        """(r, n) -> (r,): the mean over the classes that the weighted images have."""
        has = weights @ self.labels.double() > 0
        return macro(torch.where(has, self.f1(weights), torch.nan))

    def micro_f1(self, weights: Tensor) -> Tensor:
        """(r, n) -> (r,): of all images and classes together."""
        hits = weights @ (self.said & self.labels).sum(1).double()
        either = weights @ (self.said.sum(1) + self.labels.sum(1)).double()
        return 2 * hits / either.clamp(min=torch.finfo(torch.double).tiny)


@torch.no_grad()
def scored(model: nn.Module, source: Source, device: torch.device) -> Scores:
    """Run the network in eval mode in fp32 over the whole source; several processes take turns at its batches."""
    offload.put(model, device).eval()

    def answers(batch: Any) -> tuple[Tensor, Tensor]:
        return logits_of(forward(model, batch.student)).float().cpu(), batch.labels.cpu()

    found = processes.dealt(source.epoch(0), answers)
    logits, labels = (torch.cat(column) for column in zip(*found, strict=True))
    return Scores(logits, labels, float(binary_cross_entropy(logits, labels)))


def figures(found: Scores, classes: Sequence[str], teacher: Scores | None = None) -> dict[str, Any]:
    """The metrics of the task, each with a 95 % bootstrap interval over images. `mean_average_precision`: the mean of
    the classes' average precisions, over classes that a test image has. `micro_f1`, `macro_f1`: at probability 0.5, of
    all labels together, and the mean over those classes. `subset_accuracy`: images of which every label is right.
    `agreement`: labels (n C of them) that are said or not as the teacher does. `chance`: the mean share of images that
    have a class, near which the average precision of random scores lies. `loss`; `per_class`: average precision by
    name, value None for a class that no test image has, `n`: images that have it."""
    n, whole = len(found), torch.ones(1, len(found), dtype=torch.double)
    has = found.labels.double().mean(0)
    result: dict[str, Any] = {
        "mean_average_precision": entry(found.mean_average_precision, n, macro(found.replicates)),
        "micro_f1": share(float(found.micro_f1(whole)), n, found.micro_f1),
        "macro_f1": share(float(found.macro_f1(whole)), n, found.macro_f1),
    }
    result["subset_accuracy"] = _mean((found.said == found.labels).all(1).double())
    if teacher is not None:
        result["agreement"] = _mean((found.said == teacher.said).double().mean(1))
    return result | {
        "chance": float(has[has > 0].mean()),
        "loss": found.loss,
        "per_class": {name: _of_class(found, c) for c, name in enumerate(classes)},
    }


def _mean(values: Tensor) -> dict[str, Any]:
    """Of values (n,) of the images."""
    return share(float(values.mean()), len(values), lambda weights: (weights @ values) / weights.sum(1))


def _of_class(found: Scores, number: int) -> dict[str, Any]:
    count = int(found.labels[:, number].sum())
    if not count:
        return {"value": None, "n": 0}
    drawn = found.replicates[:, number]
    return entry(float(found.whole[number]), len(found), drawn[~drawn.isnan()]) | {"n": count}


def difference(first: Scores, second: Scores) -> Difference:
    """Mean average precision of the first less that of the second, paired by image."""
    value = first.mean_average_precision - second.mean_average_precision
    return differing(value, len(first), macro(first.replicates) - macro(second.replicates))
