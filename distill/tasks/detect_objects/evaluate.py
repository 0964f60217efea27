"""A network's boxes on the test images, in pixels of each image, and what they are worth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill import offload, processes
from distill.bootstrap import differing, entry
from distill.evaluate import LATENCY_SECONDS
from distill.layers.forward import forward
from distill.statistics import Difference
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import SURE, Detections, detect
from distill.tasks.detect_objects.precision import SIZES, Precision, evaluated
from distill.tasks.detect_objects.weighted import drawn, overall, replicates
from distill.training.data import Source

HALF = slice(0, 1)
"""The threshold IoU 0.5 alone."""
Place = Callable[[int, Detections], Detections]
"""A sample's position and its boxes in pixels of the network's input -> the same in pixels of the image."""


@dataclass(frozen=True)
class Found:
    """A network's boxes on n test images, and what they are worth against the objects. `loss`: the detector's own, a
    mean over the images. `suppression_ms`: what it took to make an image's boxes of the network's rows, the median;
    `answer_ms`: what it took from an image's input to its boxes, see `answering`."""

    said: tuple[Detections, ...]
    precision: Precision
    loss: float
    suppression_ms: float
    answer_ms: float

    def __len__(self) -> int:
        return len(self.said)


@torch.no_grad()
def predict(
    model: nn.Module, source: Source, answer: BoxAnswer, device: torch.device, place: Place
) -> tuple[tuple[Detections, ...], float, float]:
    """Run the network in eval mode in fp32: the boxes of every image, the mean loss, and the milliseconds of an image's
    non-maximum suppression."""
    offload.put(model, device).eval()

    def answers(batch: Any) -> tuple[float, list[tuple[Detections, float]]]:
        compared = answer.compare(forward(model, batch.student), batch.labels)
        found = []
        for position, rows in zip(batch.host_index.tolist(), compared.outputs, strict=True):
            began = time.perf_counter()
            boxes = detect(rows, answer.head)
            seconds = time.perf_counter() - began
            found.append((place(position, boxes), seconds))
        return float(answer.validation_loss(compared)) * len(batch.labels), found

    parts = processes.dealt(source.epoch(0), answers)
    said = [one for _, found in parts for one in found]
    loss = sum(loss for loss, _ in parts) / max(1, len(said))
    return tuple(boxes for boxes, _ in said), loss, 1e3 * statistics.median(seconds for _, seconds in said)


@torch.no_grad()
def answering(model: nn.Module, source: Source, answer: BoxAnswer, device: torch.device) -> float:
    """Milliseconds from an image's input to its boxes, one image at a time: the forward pass in eval mode in fp32 and
    non-maximum suppression. `source`: batches of one image, of which the first warms up; the median of the others, as
    many as 5 seconds take, at least 3 where there are so many."""
    offload.put(model, device).eval()
    end, times = time.perf_counter() + LATENCY_SECONDS, list[float]()
    for batch in source.epoch(0):
        began = time.perf_counter()
        rows = answer.compare(forward(model, batch.student), batch.labels).outputs
        detect(rows[0], answer.head)  # waits for the device
        times.append(time.perf_counter() - began)
        if len(times) > 3 and began > end:
            break
    return 1e3 * statistics.median(times[1:] or times)


def figures(found: Found, classes: Sequence[str], teacher: Found | None = None) -> dict[str, Any]:
    """`ap`, `ap50` and `agreement` (AP against the teacher's boxes of a score of at least 0.3), each with a 95 %
    bootstrap interval over images; `ap75`, `ap_small`, `ap_medium`, `ap_large`, `ar`, where there are such objects;
    `loss`, `suppression_ms`, `answer_ms`; `per_class`: AP by name with the class's objects as `n`, value None for a
    class without any."""
    precision, n = found.precision, len(found)
    table = drawn(precision, replicates(precision))
    result: dict[str, Any] = {
        "ap": entry(precision.ap, n, overall(table)),
        "ap50": entry(precision.ap50, n, overall(table[:, HALF])),
        "ap75": precision.ap75,
        "ar": precision.recall,
        "loss": found.loss,
        "suppression_ms": found.suppression_ms,
        "answer_ms": found.answer_ms,
        "per_class": {name: _of_class(precision, number, table) for number, name in enumerate(classes)},
    }
    sizes = zip(SIZES, precision.sizes, strict=True)
    result |= {f"ap_{name}": value for name, value in sizes if not np.isnan(value)}
    if teacher is not None:
        same = evaluated([as_truth(one) for one in teacher.said], found.said, len(classes))
        values = overall(drawn(same, replicates(same)))
        result["agreement"] = entry(same.ap, n, values)
    return result


def _of_class(found: Precision, number: int, table: Tensor) -> dict[str, Any]:
    objects = int(found.objects[:, number].sum())
    if not objects:
        return {"value": None, "n": 0}
    values = overall(table[:, :, number : number + 1])
    return entry(found.of_class(number), len(found.objects), values) | {"n": objects}


def as_truth(said: Detections) -> Boxes:
    """A network's own boxes as objects."""
    sure = said.above(SURE)
    corners, nothing = sure.corners.numpy().astype(np.float32), np.zeros(len(sure), np.bool_)
    sides = corners[:, 2:] - corners[:, :2]
    return Boxes(corners, sure.classes.numpy(), nothing, nothing, sides.prod(1).astype(np.float32))


def difference(first: Found, second: Found) -> Difference:
    """AP of the first less that of the second, paired by image."""
    both = first.precision, second.precision
    times = replicates(*both)
    ours, theirs = (overall(drawn(each, times)) for each in both)
    return differing(both[0].ap - both[1].ap, len(first), ours - theirs)
