"""A network's masks on the test images, at each image's own size, and what they are worth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import offload, processes
from distill.answers import logits_of
from distill.bootstrap import paired_difference, share
from distill.layers.forward import forward
from distill.statistics import Difference
from distill.tasks.segment_images.answer import confusion, pixels
from distill.tasks.segment_images.scores import intersection_over_union, mean_iou
from distill.training.data import Source


@dataclass(frozen=True)
class Masks:
    """A network's answers on n test images, over labelled pixels alone. `hits`, `labelled`, `predicted` (n, C) int64:
    of each image the pixels of a class that were found, that have it, that were said to have it. `confusion` (C, C)
    int64: pixels by class (rows) and by what was said (columns). `loss`: mean cross-entropy of a pixel. `packed`: the
    classes said of the labelled pixels of each image, compressed."""

    hits: Tensor
    labelled: Tensor
    predicted: Tensor
    confusion: Tensor
    loss: float
    packed: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.packed)

    def said(self, i: int) -> np.typing.NDArray[np.int16]:
        """(m,) classes said of the labelled pixels of image i, in reading order."""
        return np.frombuffer(zlib.decompress(self.packed[i]), np.int16)

    def mean_iou(self, weights: Tensor) -> Tensor:
        """Weights (r, n) of the images -> (r,) mean IoU of the weighted sums over the images."""
        sums = [weights @ each.double() for each in (self.hits, self.labelled, self.predicted)]
        return mean_iou(intersection_over_union(*sums))

    def iou(self) -> Tensor:
        """(C,) over all images."""
        return intersection_over_union(self.hits.sum(0), self.labelled.sum(0), self.predicted.sum(0))


@torch.no_grad()
def predict(model: nn.Module, source: Source, classes: int, device: torch.device) -> Masks:
    """Run the network in eval mode in fp32. The batches' labels (n, h, w) have the images' own size; logits are
    enlarged to it before the class of each pixel is read."""
    offload.put(model, device).eval()

    def answers(batch: Any) -> list[tuple[Tensor, float, bytes]]:
        logits = logits_of(forward(model, batch.student))
        return [_answer(one, labels, classes) for one, labels in zip(logits.float(), batch.labels, strict=True)]

    found = [one for part in processes.dealt(source.epoch(0), answers) for one in part]
    tables = torch.stack([table for table, _, _ in found])
    loss, whole = sum(loss for _, loss, _ in found), tables.sum(0)
    hits, labelled, predicted = tables.diagonal(dim1=1, dim2=2), tables.sum(2), tables.sum(1)
    mean = loss / max(1, int(whole.sum()))
    return Masks(hits, labelled, predicted, whole, mean, tuple(packed for _, _, packed in found))


def _answer(logits: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, float, bytes]:
    """Of one image: its confusion table, the sum of its pixels' losses, and the classes that were said, packed."""
    flat = labels.flatten()
    labelled = (flat >= 0).nonzero()[:, 0]
    rows, truth = pixels(logits[None], labelled, labels.shape), flat[labelled]
    said = rows.argmax(1)
    loss = float(F.cross_entropy(rows, truth, reduction="sum").double())
    packed = zlib.compress(said.to(torch.int16).cpu().numpy().tobytes(), 1)
    return confusion(said, truth, classes).cpu(), loss, packed


def figures(found: Masks, classes: Sequence[str], teacher: Masks | None = None) -> dict[str, Any]:
    """`mean_iou`, `pixel_accuracy`, `agreement` (share of labelled pixels with the teacher's class), each with a 95 %
    bootstrap interval over images; `loss`; `per_class`: IoU by name with the class's labelled pixels as `n`, value None
    for a class that is neither in the masks nor said; `confusion`: rows are the masks' classes, columns the network's.
    """
    n = len(found)
    pixels_of = found.labelled.sum(1).double()
    result: dict[str, Any] = {
        "mean_iou": share(float(mean_iou(found.iou())), n, found.mean_iou),
        "pixel_accuracy": _pixel_share(found.hits.sum(1).double(), pixels_of),
        "loss": found.loss,
        "per_class": _per_class(found, classes),
        "confusion": found.confusion.tolist(),
    }
    if teacher is not None:
        same = [int((found.said(i) == teacher.said(i)).sum()) for i in range(n)]
        result["agreement"] = _pixel_share(torch.tensor(same, dtype=torch.double), pixels_of)
    return result


def _pixel_share(hits: Tensor, of: Tensor) -> dict[str, Any]:
    """Hits (n,) of labelled pixels (n,) by image."""
    return share(float(hits.sum() / of.sum().clamp(min=1)), len(of), _ratio(hits, of))


def _ratio(hits: Tensor, of: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda weights: (weights @ hits) / (weights @ of).clamp(min=1)


def _per_class(found: Masks, classes: Sequence[str]) -> dict[str, Any]:
    ious, counts = found.iou(), found.labelled.sum(0).tolist()
    rows: dict[str, Any] = {}
    for number, name in enumerate(classes):
        if ious[number].isnan():
            rows[name] = {"value": None, "n": 0}
        else:
            of_class = partial(_class_iou, found, number)
            rows[name] = share(float(ious[number]), len(found), of_class) | {"n": counts[number]}
    return rows


def _class_iou(found: Masks, number: int, weights: Tensor) -> Tensor:
    columns = (each[:, number].double() for each in (found.hits, found.labelled, found.predicted))
    return intersection_over_union(*(weights @ column for column in columns)).nan_to_num(0.0)


def difference(first: Masks, second: Masks) -> Difference:
    """Mean IoU of the first less that of the second, paired by image."""
    return paired_difference(len(first), first.mean_iou, second.mean_iou)
