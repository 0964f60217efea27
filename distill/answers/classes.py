"""One class a row: cross-entropy, accuracy, and when a student is at chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers.base import Answer, Compared, Guess
from distill.answers.outputs import logits_of
from distill.errors import InvalidConfig
from distill.objectives.logits import cross_entropy
from distill.unlabelled import NO_LABEL

CHANCE_Z = 2.33  # one-sided 99 % of the normal distribution


class RowAnswer(Answer):
    """Logits (m, C) with labels (m,): every row is one prediction of one class. `label_smoothing`: in training."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(self, compared: Compared) -> Tensor:
        """Mean over the rows of -w ln softmax(logits)[label], nats; of smoothed labels, w their class's weight."""
        return cross_entropy(compared.outputs, compared.labels, self.label_smoothing, self.class_weights)

    def validation_loss(self, compared: Compared) -> Tensor:
        """The same of the labels as they are."""
        return cross_entropy(compared.outputs, compared.labels)

    def rows(self, labels: Tensor) -> Tensor:
        """(m,): the labels of a batch as `compare` gives them."""
        return labels

    def weight(self, labels: Tensor) -> int | Tensor:
        return len(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"accuracy": (outputs.detach().argmax(1) == self.rows(labels)).sum().double()}

    def tally(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """(2, C): how often every class is the label, and how often it is predicted."""
        classes = outputs.shape[1]
        seen = (self.rows(labels), outputs.argmax(1))
        return torch.stack([torch.bincount(each, minlength=classes) for each in seen])

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """Only a suspicious accuracy costs one more pass over validation."""
        accuracy = values["accuracy"]
        if guess is None or accuracy > chance_threshold(guess.majority, guess.count):
            return None
        counts = tally()
        limit = None if counts is None else guesses(accuracy, counts[0], counts[1])
        return None if limit is None else f"validation accuracy {accuracy:.4f}, guessing reaches {limit:.4f}"


class ClassAnswer(RowAnswer):
    """One class a sample: logits (n, C), labels (n,); of mixed samples (n, C) in fp32, the share of each class."""

    def rows(self, labels: Tensor) -> Tensor:
        """(n,): of a mixed sample the class with the largest share."""
        return labels.argmax(1) if labels.is_floating_point() else labels

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """Raises `InvalidConfig` for labels or logits of another task: nothing is counted as what it is not."""
        logits = logits_of(output)
        if labels.dim() != (2 if labels.is_floating_point() else 1) or logits.dim() != 2:
            raise InvalidConfig(
                f"A classifier has logits (n, classes) and labels (n,), not {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}.",
                "Use a task of such labels, and a network that answers it.",
                {"logits": list(logits.shape), "labels": list(labels.shape)},
            )
        return Compared(logits, labels, targets or {})

    def no_fit(self) -> str:
        return ""


class PartlyLabelledAnswer(ClassAnswer):
    """One class a sample, of those that have a label: logits (n, C), labels (n,) with `NO_LABEL` for the others.

    Loss and accuracy are means over the labelled rows of a batch; divergences from a teacher, which ask for no label,
    are means over all rows. `weight` counts all rows, since the terms that use all of them would else lose the batches
    without a label: batches of one step count by their samples, whatever share of them has a label. Validation samples
    all have labels (`distill.tasks.opening.splits_of`), so that its figures are exact. Nothing waits for the device.
    """

    def loss(self, compared: Compared) -> Tensor:
        """Mean over the labelled rows of -w ln softmax(logits)[label], nats, of smoothed labels, w their class's
        weight; 0 without any, with a gradient of 0."""
        return self._mean(compared, self.label_smoothing, self.class_weights)

    def validation_loss(self, compared: Compared) -> Tensor:
        """The same of the labels as they are."""
        return self._mean(compared, 0.0, None)

    def loss_weight(self, labels: Tensor) -> Tensor:
        return self._labelled(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return super().figures(outputs, labels) | {LABELLED: self._labelled(labels).double()}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        """The accuracy of the labelled rows; none of a window without any."""
        labelled = float(sums[LABELLED])
        return {"accuracy": float(sums["accuracy"]) / labelled} if labelled else {}

    def tally(self, outputs: Tensor, labels: Tensor) -> Tensor:
        rows = labels != NO_LABEL
        return super().tally(outputs[rows], labels[rows])

    def _mean(self, compared: Compared, smoothing: float, weights: Tensor | None) -> Tensor:
        logits, labels = compared.outputs.float(), compared.labels
        weights = None if weights is None else weights.to(logits.device)
        total = F.cross_entropy(
            logits, labels, weights, ignore_index=NO_LABEL, reduction="sum", label_smoothing=smoothing
        )
        return total / self._labelled(labels).clamp(min=1)

    @staticmethod
    def _labelled(labels: Tensor) -> Tensor:
        return (labels != NO_LABEL).sum()


LABELLED = "labelled"
"""Among the running figures: how many rows had a label."""


def chance_threshold(majority: float, count: int) -> float:
    """The highest accuracy that guessing the commonest class (share `majority`) of `count` validation samples
    reaches with 99 % probability: p + 2.33 sqrt(p (1 - p) / n). Above it nobody guesses; at or below it the student's
    own predictions must tell: `guesses`. It may exceed 1."""
    return majority + CHANCE_Z * math.sqrt(majority * (1 - majority) / max(count, 1))


def guessing_limit(labels: Tensor, predictions: Tensor) -> float:
    """The highest accuracy that predictions which know nothing of the labels reach with 99 % probability.

        e + 2.33 sqrt(v) + 1 / (2 n),   e = sum_k p_k q_k,   v = (e + e^2 - sum_k p_k q_k (p_k + q_k)) / (n - 1)

    p, q: shares of the classes among the n labels and among the predictions, given as counts (C,). e and v are mean
    and variance of the accuracy when the predictions are dealt to the samples at random (the null of Cohen's kappa:
    Fleiss, Cohen and Everitt 1969); half a sample is the continuity correction. Always the same class: v = 0 and the
    limit is half a sample above that class's share. Where lots would hit less than one sample of the rare classes, up
    to 5 % pass instead of 1 %. **Our choice** of test."""
    count = int(labels.sum())
    p, q = labels.double() / count, predictions.double() / count
    expected = (p * q).sum()
    variance = (expected + expected.square() - (p * q * (p + q)).sum()).clamp(min=0) / max(count - 1, 1)
    return float(expected + CHANCE_Z * variance.sqrt()) + 0.5 / count


def guesses(accuracy: float, labels: Tensor, predictions: Tensor) -> float | None:
    """The limit that `accuracy` does not exceed, where a student is at chance; None where it knows something.

    Where even the labels themselves would not pass (too few samples, or one class alone) nobody is judged."""
    if guessing_limit(labels, labels) >= 1:
        return None
    limit = guessing_limit(labels, predictions)
    return limit if accuracy <= limit else None
