"""Any number of classes a picture: binary cross-entropy of each class, and average precision over the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers import Answer, Compared, Distance, logits_of
from distill.answers.base import Guess
from distill.errors import InvalidConfig
from distill.tasks.tag_images.average_precision import macro, of_counts

BINS, VALUES = 2048, 2**20
"""Bins of a logit; fewer where there are so many classes that a window's sums would have more than `VALUES` values."""
DRAWS, QUANTILE = 200, 0.99


class TagAnswer(Answer):
    """Logits (n, C), one a class by itself; labels (n, C) bool, or of mixed samples the share of the picture in [0, 1].
    `label_smoothing` e, in training: a label y becomes (1 - e) y + e / 2, as of two classes. In running figures a mixed
    sample has the classes of which it has more than half."""

    loss_name: ClassVar[str] = "binary_cross_entropy"
    primary: ClassVar[str] = "mean_average_precision"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """Raises `InvalidConfig` for labels or logits of another task."""
        logits = logits_of(output)
        if labels.dim() != 2 or logits.shape != labels.shape:
            raise InvalidConfig(
                f"A network for lists of labels has logits and labels (n, classes), not {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}.",
                "Use a network with one logit a class.",
                {"logits": list(logits.shape), "labels": list(labels.shape)},
            )
        return Compared(logits, labels, targets or {})

    def loss(self, compared: Compared) -> Tensor:
        """Mean over samples and classes of - y ln p - (1 - y) ln (1 - p), p = sigmoid(logit), nats; of smoothed
        labels."""
        return binary_cross_entropy(compared.outputs, compared.labels, self.label_smoothing)

    def validation_loss(self, compared: Compared) -> Tensor:
        """The same of the labels as they are."""
        return binary_cross_entropy(compared.outputs, compared.labels)

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """`distance` of each class by itself, as a choice of two whose logits are (z, 0): the softmax of these at
        temperature T is (sigmoid(z / T), 1 - sigmoid(z / T)), so that T^2 KL becomes

            mean_ic T^2 KL( Bernoulli(sigmoid(teacher_ic / T)) || Bernoulli(sigmoid(student_ic / T)) )

        One-versus-all as in multi-label logits distillation (Yang et al., ICCV 2023, arXiv 2308.06453; penghui-yang/L2D
        `mld.py`), which has T = 1. **Our choice**: the mean over the classes, as the loss on labels has it, in place of
        the authors' sums of both; the weight of one against the other is the same."""
        return distance(*(_pairs(logits) for logits in (compared.outputs, compared.targets["logits"])))

    def weight(self, labels: Tensor) -> int:
        return len(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`positive`, `negative` (C, bins): how many samples with and without each class have a logit in each bin. The
        bins are even in z / (1 + |z|), so finest around 0."""
        z, has = outputs.detach().float(), labels > 0.5
        bins = _bins(z.shape[1])
        place = ((z / (1 + z.abs()) + 1) * (bins / 2)).nan_to_num(0.0).long().clamp(0, bins - 1)
        flat = place + torch.arange(z.shape[1], device=z.device) * bins
        counts = torch.zeros(2, z.shape[1] * bins, dtype=torch.double, device=z.device)
        for row, which in zip(counts, (has, ~has), strict=True):
            row.scatter_add_(0, flat.flatten(), which.double().flatten())
        positive, negative = counts.view(2, z.shape[1], bins)
        return {"positive": positive, "negative": negative}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        """`mean_average_precision` of logits rounded to their bins (samples of one bin count together), over the
        classes that the samples have, and `micro_f1` at probability 0.5. Both are sums over batches and processes; the
        report's figures are of the logits as they are."""
        positive, negative = (sums[name].flip(1) for name in ("positive", "negative"))
        found = of_counts(positive.cumsum(1), (positive + negative).cumsum(1))
        half = positive.shape[1] // 2
        hits, said = positive[:, :half].sum(), (positive + negative)[:, :half].sum()
        f1 = 2 * hits / (said + positive.sum()).clamp(min=1)
        return {"mean_average_precision": float(macro(found)), "micro_f1": float(f1)}

    def tally(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """(C + 1,): samples that have each class, and samples."""
        has = (labels > 0.5).sum(0)
        return torch.cat([has, has.new_full((1,), len(labels))])

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """A mean average precision that scores dealt at random reach with 1 % probability or more, by 200 draws of the
        validation samples' own labels (**our choice**). `guess.majority` is the mean share of samples that have a
        class, about what guessing reaches: a student far above it costs no pass over validation."""
        reached = values["mean_average_precision"]
        if guess is None or reached > guess.majority + 0.2:
            return None
        counts = tally()
        limit = None if counts is None else guessed(counts[:-1].cpu(), int(counts[-1]))
        if limit is None or reached > limit:
            return None
        return f"validation mean average precision {reached:.4f}, guessing reaches {limit:.4f}"

    def no_fit(self) -> str:
        return "its answers are not one class a sample"


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Logits, labels (n, C) in [0, 1] -> the mean over both axes, in fp32."""
    wanted = labels.float() * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits.float(), wanted)


def _pairs(logits: Tensor) -> Tensor:
    """(n, C) -> (n C, 2): each logit beside 0."""
    flat = logits.float().reshape(-1, 1)
    return torch.cat([flat, torch.zeros_like(flat)], 1)


def _bins(classes: int) -> int:
    return max(2, min(BINS, VALUES // (2 * classes)) // 2 * 2)


def guessed(positives: Tensor, samples: int) -> float | None:
    """The mean average precision that scores dealt at random reach or exceed in 1 % of 200 draws; None where the labels
    cannot tell: no class has both samples with it and samples without. `positives` (C,): samples that have a class."""
    counts = [int(count) for count in positives if 0 < count < samples]
    if not counts:
        return None
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([_of_random(count, samples, generator) for count in counts], 1)
    return float(drawn.mean(1).quantile(QUANTILE))


def _of_random(count: int, samples: int, generator: torch.Generator) -> Tensor:
    """(DRAWS,): average precision of `count` positives among `samples` in random order."""
    places = torch.rand(DRAWS, samples, generator=generator).topk(count, dim=1).indices.sort(1).values
    return (torch.arange(1, count + 1) / (places + 1)).double().mean(1)
