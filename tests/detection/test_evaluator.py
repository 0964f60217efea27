"""Average precision is COCO's: by pycocotools itself, by faster-coco-eval, and by our own sums for bootstraps."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.precision import Precision, evaluated
from distill.tasks.detect_objects.rows import Objects, padded, rows_of
from distill.tasks.detect_objects.running import counts, precision_by_threshold
from distill.tasks.detect_objects.weighted import drawn, overall, replicates, weighted_table
from tests.detection.made_up import boxes_of, scene

IMAGES, CLASSES = 200, 4
Scenes = list[tuple[Boxes, Detections]]


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return [scene(seed, classes=CLASSES) for seed in range(IMAGES)]


@pytest.fixture(scope="module")
def found(scenes: Scenes) -> Precision:
    return evaluated([truth for truth, _ in scenes], [said for _, said in scenes], CLASSES)


def files(scenes: Scenes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO file and a list of results, ids with gaps, as they would be written. Ignored boxes are all crowds there,
    which is the only kind that the evaluators leave out of account."""
    annotations, results = [], []
    for i, (truth, said) in enumerate(scenes):
        for corners, number, area, ignored in zip(
            truth.corners, truth.classes, truth.areas, truth.ignored, strict=True
        ):
            x, y, right, bottom = (float(v) for v in corners)
            annotations.append({
                "id": len(annotations) + 1, "image_id": 7 * i + 1, "category_id": int(number) * 3 + 2,
                "bbox": [x, y, right - x, bottom - y], "area": float(area), "iscrowd": int(ignored),
            })  # fmt: skip
        for corners, score, number in zip(said.corners, said.scores, said.classes, strict=True):
            x, y, right, bottom = corners.tolist()
            results.append({
                "image_id": 7 * i + 1, "category_id": int(number) * 3 + 2, "score": float(score),
                "bbox": [x, y, right - x, bottom - y],
            })  # fmt: skip
    images = [{"id": 7 * i + 1} for i in range(len(scenes))]
    categories = [{"id": 3 * number + 2, "name": str(number)} for number in range(CLASSES)]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def crowds(scenes: Scenes) -> Scenes:
    return [
        (Boxes(truth.corners, truth.classes, truth.ignored, truth.ignored, truth.areas), said) for truth, said in scenes
    ]


def figures(found: Precision) -> list[float]:
    return [found.ap, found.ap50, found.ap75, *found.sizes]


@pytest.mark.parametrize("name", ["pycocotools", "faster_coco_eval"])
def test_figures_are_those_of_the_evaluators_on_files(name: str, scenes: Scenes) -> None:
    scenes = crowds(scenes)
    coco, evaluation = COCO, COCOeval
    if name == "faster_coco_eval":
        other = pytest.importorskip("faster_coco_eval")
        coco, evaluation = other.COCO, other.COCOeval_faster
    truth, results = files(scenes)
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco()
        known.dataset = truth
        known.createIndex()
        run = evaluation(known, known.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    mine = evaluated([t for t, _ in scenes], [said for _, said in scenes], CLASSES)
    assert figures(mine) == pytest.approx(list(run.stats[:6]), abs=1e-6)
    assert mine.recall == pytest.approx(run.stats[8], abs=1e-6)
    assert 0.05 < mine.ap < 0.95


def test_ignored_boxes_count_neither_for_nor_against() -> None:
    """A detection on an ignored box changes nothing; the same box as an object counts."""
    corners, one = np.array([[10.0, 10, 60, 60], [100, 10, 160, 60]]), np.zeros(1, np.int64)
    said = Detections(torch.tensor(corners), torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64))
    both = np.zeros(2, np.int64)
    ignored = boxes_of(corners, both, np.array([False, True]))
    assert evaluated([ignored], [said], 1).ap == pytest.approx(1.0)
    alone = boxes_of(corners[:1], one)
    late = Detections(said.corners.flip(0), said.scores, said.classes)
    assert evaluated([alone], [late], 1).ap == pytest.approx(0.5)
    assert evaluated([boxes_of(corners, both)], [said.above(0.85)], 1).ap == pytest.approx(51 / 101)


def test_sums_for_bootstraps_are_the_evaluators(found: Precision) -> None:
    table = weighted_table(found, torch.ones(2, IMAGES).double())
    for one in table:
        torch.testing.assert_close(one, found.table, atol=1e-9, rtol=0)
    assert overall(table).tolist() == pytest.approx([found.ap] * 2, abs=1e-9)
    assert overall(table[:, :1]).tolist() == pytest.approx([found.ap50] * 2, abs=1e-9)
    assert replicates(found) == 1000
    low, high = torch.quantile(overall(drawn(found, 1000)), torch.tensor([0.025, 0.975]).double()).tolist()
    assert low < found.ap < high
    assert high - low < 0.1


def test_a_weight_is_a_repetition(scenes: Scenes, found: Precision) -> None:
    """An image that counts twice is an image that is there twice, but for detections of equal score."""
    weights = torch.zeros(1, IMAGES).double()
    weights[0, :20] = torch.arange(20) % 3
    some = [pair for i, pair in enumerate(scenes[:20]) for _ in range(i % 3)]
    again = evaluated([truth for truth, _ in some], [said for _, said in some], CLASSES)
    assert float(overall(weighted_table(found, weights))) == pytest.approx(again.ap, abs=5e-3)


def test_running_figures_are_near_the_evaluators(scenes: Scenes) -> None:
    """But for scores that are told apart by 1 / 256; batch by batch or at once is the same."""
    scenes = [
        (Boxes(t.corners, t.classes, t.ignored, np.zeros_like(t.crowd), t.areas), said) for t, said in scenes
    ]  # fmt: skip
    exact = evaluated([truth for truth, _ in scenes], [said for _, said in scenes], CLASSES)
    tables, held = [], []
    for start in range(0, IMAGES, 50):
        part = scenes[start : start + 50]
        labels = Objects.of(padded([rows_of(truth) for truth, _ in part]))
        table, objects = counts([said for _, said in part], labels, CLASSES)
        tables.append(table)
        held.append(objects)
    by_threshold = precision_by_threshold(torch.stack(tables).sum(0), torch.stack(held).sum(0))
    assert float(by_threshold.mean()) == pytest.approx(exact.ap, abs=0.01)
    assert float(by_threshold[0]) == pytest.approx(exact.ap50, abs=0.01)


def test_nothing_found_and_nothing_there() -> None:
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    empty = boxes_of(np.zeros((0, 4)), np.zeros(0, np.int64))
    one = boxes_of(np.array([[1.0, 1, 9, 9]]), np.array([1]))
    found = evaluated([empty, one], [nothing, nothing], 3)
    assert (found.ap, found.recall) == (0.0, 0.0)
    assert torch.isnan(torch.tensor(found.of_class(0)))
    assert evaluated([empty], [nothing], 3).ap == 0.0
