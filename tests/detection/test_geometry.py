"""Boxes' arithmetic against naive references, and against torchvision's compiled operators where those are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.tasks.detect_objects.geometry import giou, iou
from distill.tasks.detect_objects.nms import suppressed
from distill.tasks.detect_objects.rois import Levels, RoIView, roi_align
from distill.torchvision_shim import extension_loads

compiled = pytest.mark.skipif(not extension_loads(), reason="torchvision's compiled operators cannot be loaded here")


def some(seed: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 60
    boxes = torch.cat([low, low + 1 + torch.rand(count, 2, generator=generator) * 40], 1)
    return boxes, torch.rand(count, generator=generator), torch.randint(3, (count,), generator=generator)


def naive_iou(a: list[float], b: list[float]) -> tuple[float, float]:
    """IoU and GIoU."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return both / union, both / union - (hull - union) / hull


def naive_nms(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> list[int]:
    left, kept = sorted(range(len(scores)), key=lambda i: -float(scores[i])), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [
            i
            for i in left
            if classes[i] != classes[best] or naive_iou(boxes[i].tolist(), boxes[best].tolist())[0] <= threshold
        ]
    return kept


def test_overlaps_are_the_naive_ones() -> None:
    boxes, _, _ = some(0, 30)
    shares, general = iou(boxes[:, None], boxes[None]), giou(boxes[:, None], boxes[None])
    for i in range(30):
        for j in range(30):
            expected = naive_iou(boxes[i].tolist(), boxes[j].tolist())
            assert (float(shares[i, j]), float(general[i, j])) == pytest.approx(expected, abs=1e-5)
    far = torch.tensor([[0.0, 0, 1, 1], [9.0, 9, 10, 10]], requires_grad=True)
    giou(far[0], far[1]).backward()
    assert far.grad is not None
    assert bool((far.grad != 0).any())  # boxes that do not meet are drawn to each other
    assert float(iou(torch.zeros(4), torch.zeros(4))) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.floats(0.05, 0.95))
def test_suppression_is_the_naive_one(seed: int, count: int, threshold: float) -> None:
    boxes, scores, classes = some(seed, count)
    expected = naive_nms(boxes, scores, classes, threshold)
    assert suppressed(boxes, scores, classes, threshold).tolist() == expected
    assert suppressed(boxes, scores, classes, threshold, 5).tolist() == expected[:5]


@compiled
def test_suppression_is_torchvisions() -> None:
    from torchvision.ops import batched_nms

    for seed in range(20):
        boxes, scores, classes = some(seed, 200)
        theirs = batched_nms(boxes, scores, classes, 0.6)
        assert suppressed(boxes, scores, classes, 0.6).tolist() == theirs.tolist()


def naive_roi(feature: np.ndarray, box: list[float], cells: int) -> np.ndarray:
    """He et al. 2017, aligned: 2 x 2 points a cell, read bilinearly between the cells' centres."""
    channels, height, width = feature.shape
    found = np.zeros((channels, cells, cells))
    x0, y0, x1, y1 = (side - 0.5 for side in box)
    for row in range(cells):
        for column in range(cells):
            for a in (0.25, 0.75):
                for b in (0.25, 0.75):
                    y, x = y0 + (row + a) * (y1 - y0) / cells, x0 + (column + b) * (x1 - x0) / cells
                    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    top, left = int(y), int(x)
                    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
                    v, u = y - top, x - left
                    upper = feature[:, top, left] * (1 - u) + feature[:, top, right] * u
                    lower = feature[:, low, left] * (1 - u) + feature[:, low, right] * u
                    found[:, row, column] += (upper * (1 - v) + lower * v) / 4
    return found


@pytest.mark.parametrize("cells", [1, 3])
def test_rois_are_the_naive_ones(cells: int) -> None:
    """Of a map whose cells are no squares, and of a pyramid's levels by the box's size."""
    maps = torch.randn(2, 5, 6, 10, generator=torch.Generator().manual_seed(0))
    corners = torch.tensor([[[4.0, 3, 30, 40], [0, 0, 80, 48]], [[70.0, 40, 79, 47], [1, 1, 2, 2]]])
    kept = torch.tensor([[True, True], [True, False]])
    view = RoIView((48, 80), Levels(((6, 10), (3, 5)), (8, 16)), cells)
    rows = view.rows(maps, None, {"corners": corners, "kept": kept})
    assert rows.shape == (view.count(None, {"kept": kept}), *view.shape((5, 6, 10)))
    for row, (image, place) in zip(rows, [(0, 0), (0, 1), (1, 0)], strict=True):
        box = [side / 8 for side in corners[image, place].tolist()]
        expected = naive_roi(maps[image].numpy(), box, cells)
        torch.testing.assert_close(row, torch.from_numpy(expected).float().flatten(), atol=1e-5, rtol=1e-5)


def test_a_box_is_read_off_the_level_that_answers_for_it() -> None:
    """Small boxes off the finest level, of which all cells say 1, large ones off the coarser, of which all say 2."""
    tokens = torch.cat([torch.ones(1, 60, 4), 2 * torch.ones(1, 15, 4)], 1)
    view = RoIView((48, 80), Levels(((6, 10), (3, 5)), (8, 16)))
    corners = torch.tensor([[[0.0, 0, 20, 20], [0, 0, 80, 48], [0, 0, 80, 47]]])
    marks = {"corners": corners * torch.tensor([1.0, 1, 1, 1]), "kept": torch.ones(1, 3, dtype=torch.bool)}
    assert view.rows(tokens, None, marks)[:, 0].tolist() == [1, 1, 1]  # reach 40 is below 8 strides of 8
    wide = RoIView((480, 800), Levels(((6, 10), (3, 5)), (80, 160)))
    marks["corners"] = torch.tensor([[[0.0, 0, 20, 20], [0, 0, 800, 400], [0, 0, 1300, 47]]])
    assert wide.rows(tokens, None, marks)[:, 0].tolist() == [1, 1, 2]


@compiled
@pytest.mark.parametrize("cells", [1, 3])
def test_rois_are_the_compiled_ones(cells: int) -> None:
    from torchvision.ops import roi_align as torchvisions

    feature, boxes = torch.randn(4, 12, 12), some(1, 20)[0]
    places = torch.cat([torch.zeros(20, 1), boxes / 10], 1)
    theirs = torchvisions(feature[None], places, cells, 1.0, 2, aligned=True)
    torch.testing.assert_close(roi_align(feature, boxes, (120, 120), cells), theirs.flatten(1))
