"""The rows of a Q curve of masks, against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill.errors import InvalidConfig
from distill.tasks.segment_images.regions import RegionView, as_map, choose, coarsest, grid_of


def test_a_row_is_the_mean_over_the_scaled_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(-1, 3, (2, 8, 12), generator=generator)
    feature = torch.randn(2, 5, 4, 6, generator=generator)
    kept = torch.tensor([[True, False, True], [False, True, True]])
    view = RegionView((8, 12))
    marks = {"mask": mask, "kept": kept}
    rows = view.rows(feature, None, marks)
    expected = []
    for image, number in kept.nonzero().tolist():
        total, weight = torch.zeros(5), 0.0
        for y in range(4):
            for x in range(6):
                share = float((mask[image, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2] == number).float().mean())
                total, weight = total + share * feature[image, :, y, x], weight + share
        expected.append(total / weight)
    assert torch.allclose(rows, torch.stack(expected), atol=1e-6)
    assert view.count(None, marks) == len(rows) == 4
    assert view.shape((5, 4, 6)) == (5,)
    tokens = feature.flatten(2).movedim(1, -1)
    assert torch.allclose(view.rows(tokens, None, marks), rows, atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [(96, (64, 96), (8, 12)), (256, (64, 64), (16, 16)), (197, (224, 224), (14, 14)), (165, (352, 480), (11, 15))],
)
def test_tokens_find_their_places(tokens: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert grid_of(tokens, size) == grid
    feature = torch.arange(tokens).float()[None, :, None]
    assert as_map(feature, size)[0, 0].flatten().tolist() == list(range(tokens - grid[0] * grid[1], tokens))


def test_regions_are_stratified_and_small_ones_are_counted() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 100, (30, 3))
    pixels[:, 2] = np.where(np.arange(30) < 6, 400, 1)  # a class that is mostly too small
    unlabelled = 1000 - pixels.sum(1)
    found = choose(pixels, unlabelled, 10, 15, seed=0)
    assert np.bincount(found.labels).tolist() == [0, 0, 6] or len(found.labels) <= 15
    enough = pixels * 10 >= 1000
    assert found.left_out == int((~enough & (pixels > 0)).sum())
    for row, image in enumerate(found.images):
        assert enough[image][found.kept[row]].all()
    assert found.labels.tolist() == [c for row in found.kept for c in np.flatnonzero(row)]
    again = choose(pixels, unlabelled, 10, 15, seed=0)
    assert np.array_equal(found.kept, again.kept)
    with pytest.raises(InvalidConfig):
        choose(np.full((4, 3), 500), np.zeros(4, np.int64), 10, 2, seed=0)


def test_the_coarsest_map_decides() -> None:
    assert coarsest([(8, 16, 24), (64, 4, 6), (24, 32), (512,)], (64, 96)) == 24
    assert coarsest([(512,)], (64, 96)) == 1
