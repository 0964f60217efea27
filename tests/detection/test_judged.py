"""Which test images a detector does worst on, and precision by recall."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.tasks.detect_objects.curves import precision_recall
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.gallery import COLUMNS, SIDE, Shown, Worst
from distill.tasks.detect_objects.judged import Judged, judged, worst_first
from distill.tasks.detect_objects.precision import evaluated
from tests.detection.made_up import CLASSES, boxes_of, scene


def said(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """x1 y1 x2 y2, score, class."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].long())


TRUTH = boxes_of(
    np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]], np.float64), np.array([0, 1, 1]),
    np.array([False, False, True]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("detections", "expected", "f1"),
    [
        (said(), (0, 2, 0), 0.0),
        (said((0, 0, 10, 9, 0.9, 0), (20, 20, 40, 39, 0.3, 1)), (2, 0, 0), 1.0),
        (said((0, 0, 10, 9, 0.9, 0), (20, 20, 40, 39, 0.29, 1)), (1, 1, 0), 2 / 3),  # not sure enough
        (said((0, 0, 10, 9, 0.9, 1)), (0, 2, 1), 0.0),  # of another class
        (said((0, 0, 10, 9, 0.9, 0), (0, 0, 10, 10, 0.8, 0)), (1, 1, 1), 0.5),  # an object counts once
        (said((50, 50, 60, 60, 0.9, 1)), (0, 2, 0), 0.0),  # what is ignored counts neither way
        (said((80, 80, 90, 90, 0.9, 2)), (0, 2, 1), 0.0),  # a class that is not there
    ],
)
def test_an_image_is_judged_by_its_sure_boxes(
    detections: Detections, expected: tuple[int, int, int], f1: float
) -> None:
    found = judged(TRUTH, detections)
    assert (found.found, found.missed, found.wrong) == expected
    assert found.f1 == pytest.approx(f1)


def test_the_worst_come_first() -> None:
    nothing = judged(boxes_of(np.zeros((0, 4)), np.zeros(0, np.int64)), said())
    assert nothing.f1 == 1
    assert worst_first([nothing, Judged(0, 1, 0), Judged(3, 1, 0), Judged(0, 2, 3), Judged(0, 1, 0)]) == [3, 1, 4, 2, 0]


def test_a_curves_mean_over_recalls_is_ap() -> None:
    scenes = [scene(seed, classes=2) for seed in range(30)]
    found = evaluated([truth for truth, _ in scenes], [each for _, each in scenes], 3)  # nothing is of the third class
    told = json.loads(json.dumps(precision_recall({"student": found}, ("cat", "dog", "unicorn"))))
    assert (told["recall"][0], told["recall"][-1], len(told["recall"])) == (0, 1, 101)
    student = told["networks"]["student"]
    means = {overlap: np.mean(values) for overlap, values in student["mean"].items()}
    assert means == pytest.approx({"0.50": found.ap50, "0.75": found.ap75, "0.50:0.95": found.ap}, abs=1e-4)
    assert np.mean(student["per_class"]["dog"]["0.50:0.95"]) == pytest.approx(found.of_class(1), abs=1e-4)
    assert student["per_class"]["unicorn"] is None
    for values in student["mean"].values():
        assert sorted(values, reverse=True) == values  # no recall is reached at a better precision than a lower one


def test_images_lie_on_the_sheet_where_the_file_says(tmp_path: Path) -> None:
    sizes = [(100, 640), (64, 48), (400, 200), (30, 30), (320, 320)]  # (height, width)
    shades = [40 * (number + 1) for number in range(len(sizes))]
    images = [
        Image.new("RGB", (width, height), (shade,) * 3) for (height, width), shade in zip(sizes, shades, strict=True)
    ]
    shown = [
        Shown(f"{n}.png", size, TRUTH, {"student": said((1, 2, 3, 4, 0.5, 1))}, Judged(1, 1, 0))
        for n, size in enumerate(sizes)
    ]
    worst = Worst(shown, lambda: images, 40)
    sheet = np.array(Image.open(worst.draw(tmp_path / "worst.png")))
    told = json.loads(json.dumps(worst.told(CLASSES)))
    assert sheet.shape == (2 * SIDE, COLUMNS * SIDE, 3)
    assert told["sheet"] == [COLUMNS * SIDE, 2 * SIDE]
    for one, shade, size in zip(told["images"], shades, sizes, strict=True):
        x, y, width, height = one["place"]
        assert (sheet[y : y + height, x : x + width] == shade).all()
        assert (one["height"], one["width"]) == size
        assert width <= SIDE
        assert height <= SIDE
    assert told["images"][0]["boxes"]["truth"] == [[0, 0, 10, 10, 0, 0], [20, 20, 40, 40, 1, 0], [50, 50, 60, 60, 1, 1]]
    assert told["images"][0]["boxes"]["student"] == [[1, 2, 3, 4, 1, 0.5]]
    assert (told["tested"], told["images"][0]["f1"], len(told["colours"])) == (40, 0.6667, len(CLASSES))
    assert list(tmp_path.iterdir()) == [tmp_path / "worst.png"]
