"""Average precision by pycocotools, the evaluator that COCO's own figures come from."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import Detections

ALL, SIZES = 0, ("small", "medium", "large")
HALF, THREE_QUARTERS = 0, 5  # positions of IoU 0.5 and 0.75


class _Evaluation(COCOeval):  # type: ignore[misc]
    """pycocotools takes only crowds out of account; here also boxes that are ignored and no crowd."""

    def _prepare(self) -> None:
        super()._prepare()
        for truth in (one for many in self._gts.values() for one in many):
            truth["ignore"] = truth["ignored"]


@dataclass(frozen=True)
class Ranked:
    """The detections (k,) of one class on all images, the best first. images: (k,) positions; met, left_out: (10, k)
    bool by threshold of IoU, see `distill.tasks.detect_objects.matching.matched`."""

    images: Tensor
    met: Tensor
    left_out: Tensor


@dataclass(frozen=True, eq=False)
class Precision:
    """What COCO's evaluator says. table: (10, C) AP by threshold of IoU and class, NaN for a class without an object.
    sizes: AP of small (area below 32^2 square pixels), medium and large (from 96^2 on) objects, NaN without any.
    recall: AR, the mean over classes and thresholds of the recall of 100 detections an image. ranked: by class;
    objects: (n, C) how many count, by image. curves: (10, 101, C) by threshold of IoU, recall 0, 0.01, ..., 1 and
    class: the largest precision in [0, 1] at that recall or a higher one, 0 where it is not reached, NaN for a class
    without an object; `table` is its mean over the recalls."""

    table: Tensor
    sizes: tuple[float, float, float]
    recall: float
    ranked: tuple[Ranked, ...]
    objects: Tensor
    curves: Tensor

    @property
    def ap(self) -> float:
        """Mean over thresholds and classes that have an object; 0 where none has."""
        return _mean(self.table)

    @property
    def ap50(self) -> float:
        return _mean(self.table[HALF])

    @property
    def ap75(self) -> float:
        return _mean(self.table[THREE_QUARTERS])

    def of_class(self, number: int) -> float:
        """NaN for a class without an object."""
        return float(self.table[:, number].mean())


def evaluated(truth: Sequence[Boxes], found: Sequence[Detections], classes: int) -> Precision:
    """Compare the detections on n images with their objects, both in pixels of the images themselves."""
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        run = _Evaluation(_coco(_truths(truth), len(truth), classes), _coco(_said(found), len(truth), classes), "bbox")
        run.evaluate()
        run.accumulate()
    precision, recall = (torch.from_numpy(run.eval[name][..., -1]) for name in ("precision", "recall"))
    precision, recall = (torch.where(each < 0, torch.nan, each) for each in (precision, recall))
    by_size = precision.mean(1)  # (10, C, 4); NaN without an object
    small, medium, large = (_nanmean(by_size[..., 1 + i]) for i in range(len(SIZES)))
    return Precision(
        by_size[..., ALL],
        (small, medium, large),
        _mean(recall[..., ALL]),
        tuple(_ranked(run, number, len(truth)) for number in range(classes)),
        _held(truth, classes),
        precision[..., ALL],
    )


def _nanmean(values: Tensor) -> float:
    return float(values.nanmean())


def _mean(values: Tensor) -> float:
    return float(values.nanmean().nan_to_num(0.0))


def _coco(annotations: list[dict[str, Any]], images: int, classes: int) -> COCO:
    made = COCO()
    made.dataset = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": number} for number in range(classes)],
        "annotations": [one | {"id": i + 1} for i, one in enumerate(annotations)],
    }
    made.createIndex()
    return made


def _truths(truth: Sequence[Boxes]) -> list[dict[str, Any]]:
    return [
        _annotation(i, corners, number)
        | {"area": float(size), "iscrowd": int(crowd), "ignored": int(ignored)}
        for i, boxes in enumerate(truth)
        for corners, number, size, crowd, ignored in zip(
            boxes.corners.astype(np.float64), boxes.classes, boxes.areas, boxes.crowd, boxes.ignored, strict=True
        )
    ]  # fmt: skip


def _said(found: Sequence[Detections]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i, one in enumerate(found):
        columns = zip(one.corners.double().numpy(), one.classes.tolist(), one.scores.tolist(), strict=True)
        for corners, number, score in columns:
            row = _annotation(i, corners, number)
            rows.append(row | {"score": score, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0})
    return rows


def _annotation(image: int, corners: NDArray[np.float64], number: int) -> dict[str, Any]:
    x, y, right, bottom = corners.tolist()
    return {"image_id": image, "category_id": int(number), "bbox": [x, y, right - x, bottom - y]}


def _ranked(run: COCOeval, number: int, images: int) -> Ranked:
    """Of all sizes of objects."""
    sizes = len(run.params.areaRng)
    rows = run.evalImgs[number * sizes * images :][:images]
    there = [(i, row) for i, row in enumerate(rows) if row is not None]
    columns = [np.concatenate([np.zeros((10, 0)), *(row[name] for _, row in there)], 1) for name in _FLAGS]
    scores = np.concatenate([np.zeros(0), *(row["dtScores"] for _, row in there)])
    where = np.concatenate([np.zeros(0), *(np.full(len(row["dtScores"]), i) for i, row in there)])
    order = np.argsort(-scores, kind="mergesort")  # as COCO's
    met, left_out = (torch.from_numpy(column[:, order] > 0) for column in columns)
    return Ranked(torch.from_numpy(where[order].astype(np.int64)), met & ~left_out, left_out)


_FLAGS = ("dtMatches", "dtIgnore")


def _held(truth: Sequence[Boxes], classes: int) -> Tensor:
    counts = [np.bincount(boxes.classes[~boxes.ignored], minlength=classes) for boxes in truth]
    return torch.from_numpy(np.stack(counts)).double()
