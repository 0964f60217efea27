"""One class a pixel: cross-entropy, mean IoU and pixel accuracy over the pixels that have a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers import Answer, Compared, Distance, logits_of
from distill.answers.base import Guess
from distill.errors import InvalidConfig
from distill.objectives.logits import cross_entropy
from distill.tasks.segment_images.scores import intersection_over_union, mean_iou

ONE_CLASS = 0.999  # from this share of pixels on a student says one class alone


class MaskAnswer(Answer):
    """Logits (n, C, h', w'), labels (n, h, w) int64, below 0 where a pixel has no class.

    Logits are enlarged or reduced to the labels' h x w, bilinearly. A row is a labelled pixel: a pixel without a class
    teaches nothing, neither by a label nor by the teacher's logits (**our choice**). Finding the labelled pixels waits
    for the device, once a batch and network, and once more where they are counted.
    """

    primary: ClassVar[str] = "mean_iou"
    maps: ClassVar[bool] = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """`outputs` (m, C) of the m labelled pixels in reading order, `labels` (m,), the teacher's `logits` likewise.
        Raises `InvalidConfig` for logits or labels of another task."""
        logits, targets = logits_of(output), dict(targets or {})
        if labels.dim() != 3 or logits.dim() != 4:
            raise InvalidConfig(
                f"A network for masks has logits (n, classes, h, w) and labels (n, h, w), not {tuple(logits.shape)} "
                f"and {tuple(labels.shape)}.",
                "Use a network that names the class of every pixel, such as retort:fpn or torchvision:fcn_resnet50.",
                {"logits": list(logits.shape), "labels": list(labels.shape)},
            )
        labelled, size = (labels >= 0).flatten().nonzero()[:, 0], labels.shape[-2:]
        if "logits" in targets:
            targets["logits"] = pixels(targets["logits"], labelled, size)
        return Compared(pixels(logits, labelled, size), labels.flatten()[labelled], targets)

    def loss(self, compared: Compared) -> Tensor:
        """Mean over the labelled pixels of -w ln softmax(logits)[label], nats, of smoothed labels, w their class's
        weight; 0 without any, with a gradient of 0."""
        return _cross_entropy(compared, self.label_smoothing, self.class_weights)

    def validation_loss(self, compared: Compared) -> Tensor:
        """The same of the labels as they are."""
        return _cross_entropy(compared, 0.0, None)

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """Mean over the labelled pixels; 0 without any. The distance is asked for all the same: one that compares the
        pixels of several processes waits for this one's."""
        found = super().divergence(compared, distance)
        return found if len(compared.labels) else nothing(compared) + found.nan_to_num() * 0

    def weight(self, labels: Tensor) -> Tensor:
        return (labels >= 0).sum()

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`confusion` (C, C): pixels by their class (rows) and by what was said of them."""
        return {"confusion": confusion(outputs.detach().argmax(1), labels[labels >= 0], outputs.shape[1]).double()}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        found = sums["confusion"]
        ious = intersection_over_union(found.diagonal(), found.sum(1), found.sum(0))
        return {"mean_iou": float(mean_iou(ious)), "pixel_accuracy": float(found.diagonal().sum()) / count}

    def tally(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """(2, C): labelled pixels by their class, and by what was said of them."""
        seen = (labels[labels >= 0], outputs.detach().argmax(1))
        return torch.stack([torch.bincount(each, minlength=outputs.shape[1]) for each in seen])

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """A student that says one class of all pixels but one in a thousand, where the masks have several (**our
        choice**). Such an answer has a mean IoU of at most 1 / 2, so a better student costs no pass over validation."""
        counts = tally() if values["mean_iou"] <= 0.5 else None
        if counts is None or int((counts[0] > 0).sum()) < 2:
            return None
        share = float(counts[1].max() / counts[1].sum())
        if share < ONE_CLASS:
            return None
        return f"it says one class of {share:.1%} of the pixels, mean IoU {values['mean_iou']:.4f}"


def _cross_entropy(compared: Compared, smoothing: float, weights: Tensor | None) -> Tensor:
    if not len(compared.labels):
        return nothing(compared)
    return cross_entropy(compared.outputs, compared.labels, smoothing, weights)


def nothing(compared: Compared) -> Tensor:
    """0, with a gradient of 0 to every output: the loss of a batch without a labelled pixel."""
    outputs: Tensor = compared.outputs
    return outputs.float().sum()


def pixels(logits: Tensor, positions: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (n, C, h', w'), bilinearly resized to `size` (h, w), at `positions` (m,) among the n h w pixels in reading
    order: (m, C)."""
    if logits.shape[-2:] != torch.Size(size):
        logits = F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
    return logits.permute(0, 2, 3, 1).flatten(0, 2)[positions]


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(C, C) int64: how many of the pixels (m,) of class i (row) were said to be of class j (column)."""
    counts = torch.zeros(classes**2, dtype=torch.long, device=labels.device)
    return counts.scatter_add_(0, labels * classes + predicted, torch.ones_like(labels)).view(classes, classes)
