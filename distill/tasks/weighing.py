"""Class weights of a run, from the training samples that it uses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distill import class_weights
from distill.answers import Answer
from distill.types import DistillConfig
from distill.warned import RunWarning


def weighed(
    answer: Answer, config: DistillConfig, classes: Sequence[str], counts: Tensor, device: torch.device
) -> tuple[Answer, dict[str, str]]:
    """The answer with the classes' weights, and which they are, by field. `counts` (C,): training samples (or pixels)
    of each class. Raises `UnknownName` for a class that there is not."""
    if config.class_weights == "none":
        return answer, {}
    numbers = counts.tolist()
    found = class_weights.weights(config.class_weights, numbers, classes)
    told = class_weights.told(config.class_weights, found, numbers, classes)
    return answer.weighing(torch.tensor(found, device=device)), {"class_weights": told}


def in_the_fit(answer: Answer, config: DistillConfig, counts: Tensor) -> Tensor | None:
    """How much each class counts when the classifier is fitted anew, (C,), to samples as they come: its weight, times
    n / (K n_c) where training drew the K classes evenly; None: alike."""
    own = answer.class_weights
    if config.sampling != "balanced":
        return own
    drawn = torch.tensor(class_weights.weights("balanced", counts.tolist(), [""] * len(counts)))
    return drawn if own is None else own.to(drawn) * drawn


def drawn(config: DistillConfig, counts: Tensor, unlabelled: int = 0) -> dict[str, str]:
    """How an epoch draws its samples, by field. `unlabelled`: training samples without a class."""
    if config.sampling != "balanced":
        return {}
    known = counts[counts > 0]
    once = f"; each of the {unlabelled:,} without a label once" if unlabelled else ""
    share = int(known.sum()) / max(len(known), 1)
    return {
        "sampling": f"an epoch draws each of {len(known)} classes {share:,.4g} times, of {int(known.min()):,} to "
        f"{int(known.max()):,} samples{once}"
    }


def skew_warnings(config: DistillConfig, labels: Tensor, classes: Sequence[str], samples: str) -> list[RunWarning]:
    """What an inspection says of skewed classes, unless the run does something about them. `labels` (n,): of all
    training samples, below 0 where there is none."""
    if not classes or config.class_weights != "none" or config.sampling == "balanced":
        return []
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    found = class_weights.skew(counts, classes, samples)
    return [found] if found else []
