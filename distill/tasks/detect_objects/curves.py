"""Precision at each recall, for charts: what AP is the mean of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distill.tasks.detect_objects.matching import RECALLS
from distill.tasks.detect_objects.precision import HALF, THREE_QUARTERS, Precision

DIGITS = 4


def precision_recall(found: Mapping[str, Precision], classes: Sequence[str]) -> dict[str, Any]:
    """JSON-serialisable. `recall`: 0, 0.01, ..., 1; `networks`: by name `mean` (over the classes that have an object)
    and `per_class` (None for a class without one), each the precision in [0, 1] at each recall by IoU: `0.50`, `0.75`
    and `0.50:0.95`, the mean over the ten thresholds. The values are those of pycocotools' own array `precision`, all
    sizes of objects, 100 boxes an image: the mean over the recalls of a class's curve is its AP at that IoU. Rounded to
    four digits."""
    return {
        "recall": [round(float(recall), 2) for recall in RECALLS],
        "networks": {name: _of_network(each.curves, classes) for name, each in found.items()},
    }


def _of_network(curves: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Of (10, 101, C)."""
    by_overlap = {"0.50": curves[HALF], "0.75": curves[THREE_QUARTERS], "0.50:0.95": curves.mean(0)}
    per_class = {
        name: None
        if torch.isnan(curves[..., number]).any()
        else {overlap: _rounded(each[:, number]) for overlap, each in by_overlap.items()}
        for number, name in enumerate(classes)
    }
    return {
        "mean": {overlap: _rounded(each.nanmean(-1).nan_to_num(0.0)) for overlap, each in by_overlap.items()},
        "per_class": per_class,
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(value, DIGITS) for value in values.tolist()]
