"""Which objects a Q curve is computed on."""

from __future__ import annotations

import numpy as np
import torch

from distill.tasks.detect_objects.geometry import iou
from distill.tasks.detect_objects.rois import Levels, areas_of, cells_of, choose, covering, with_background
from tests.detection.made_up import CLASSES, boxes_of, picture

SIZE = (64, 64)
MANY = [picture(seed)[1] for seed in range(30)]
SHOWN = [one.corners for one in MANY]


def test_objects_are_stratified_and_small_or_ignored_ones_left_out() -> None:
    tiny = boxes_of(np.array([[0.0, 0, 7, 7], [0, 0, 20, 20]]), np.array([0, 1]), np.array([False, True]))
    found = choose([*MANY, tiny], [*SHOWN, tiny.corners], 64, 15, 0)
    assert np.bincount(found.labels).tolist() == [5, 5, 5]
    assert (found.left_out, 30 in found.images) == (1, False)
    assert sum(map(len, found.corners)) == len(found.labels) == 15
    for i, corners in zip(found.images, found.corners, strict=True):
        assert set(map(tuple, corners.tolist())) <= set(map(tuple, MANY[i].corners.tolist()))
    assert choose([tiny], [tiny.corners], 64, 15, 0).labels.tolist() == []


def test_background_lies_beside_all_boxes_and_is_a_class_of_its_own() -> None:
    chosen = choose(MANY, SHOWN, 64, 30, 0)
    found = with_background(chosen, MANY, SHOWN, SIZE, 0)
    counts = np.bincount(found.labels)
    assert len(counts) == len(CLASSES) + 1
    assert 0 < counts[-1] <= 10
    assert np.bincount(chosen.labels).tolist() == counts[:-1].tolist()
    start = 0
    for i, corners in zip(found.images, found.corners, strict=True):
        labels, start = found.labels[start : start + len(corners)], start + len(corners)
        empty = torch.from_numpy(corners[labels == len(CLASSES)])
        assert bool((iou(empty[:, None], torch.from_numpy(SHOWN[i])[None]) < 0.1).all())
        assert bool(((empty >= 0) & (empty <= 64)).all())
    again = with_background(chosen, MANY, SHOWN, SIZE, 0)
    assert np.array_equal(np.concatenate(found.corners), np.concatenate(again.corners))


def test_a_box_smaller_than_a_layers_cell_is_left_out_there() -> None:
    levels = Levels(((8, 8), (4, 4)), (8, 16))
    shapes = [("stem", (5, 16, 16)), ("last", (9, 4, 4)), ("pyramid", (80, 6)), ("tokens", (17, 6)), ("head", (9,))]
    cells = cells_of(shapes, levels, SIZE)
    assert cells == {"stem": 16, "last": 256, "pyramid": 64, "tokens": 256, "head": 64 * 64}
    sides = np.array([7, 12, 40, 40, 40, 40], np.float32)
    areas, labels = areas_of(np.stack([sides * 0, sides * 0, sides, sides], 1)), np.array([0, 1, 0, 1, 0, 1])
    found = covering(areas, labels, cells)
    assert found.left_out == {"stem": 0, "last": 2, "pyramid": 1, "tokens": 2, "head": 6}
    assert {name: flags.tolist() for name, flags in found.counted.items()} == {
        "last": [False, False, True, True, True, True],
        "pyramid": [False, True, True, True, True, True],
        "tokens": [False, False, True, True, True, True],
    }
    assert found.on_all == ["head"]
    assert covering(areas, np.array([0, 1, 0, 0, 0, 1]), cells).on_all == [
        "last",
        "tokens",
        "head",
    ]  # one box of a class
