"""What a run on boxes says before it costs hours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill.errors import InvalidConfig
from distill.models.points import assemble
from distill.tasks.detect_objects.cautions import FEW_STEPS, answered, too_short, unanswered
from distill.tasks.detect_objects.heads.points import PointHead
from distill.types import DistillConfig

HEAD = PointHead()
SIDE, SIZES = 64, [(8, 8), (4, 4), (2, 2)]
ROWS = assemble(torch.zeros(1, 84, 3), torch.ones(1, 84, 4), torch.zeros(1, 84, 1), SIZES, (SIDE, SIDE))
TINY, SMALL, LARGE, THIN = [1.0, 1, 3, 3], [1.0, 1, 9, 9], [0.0, 0, 64, 64], [0.0, 1, 64, 3]
"""Points of the finest level stand at 4, 12, ...: the tiny box holds none, the thin one none of its level."""


def test_a_box_without_a_point_is_not_learnt() -> None:
    assert (
        answered(HEAD, ROWS, torch.tensor([TINY, SMALL, LARGE, THIN] * 100)).tolist()
        == [False, True, True, False] * 100
    )


def test_objects_that_are_not_learnt_are_counted() -> None:
    (found,) = unanswered(HEAD, ROWS, np.array([TINY] + [SMALL] * 9, np.float32), (SIDE, SIDE))
    assert (found.code, found.details["left_out"], found.details["objects"]) == ("objects_not_learnt", 1, 10)
    assert not list(unanswered(HEAD, ROWS, np.array([TINY] + [SMALL] * 199, np.float32), (SIDE, SIDE)))
    assert not list(unanswered(HEAD, ROWS, np.zeros((0, 4), np.float32), (SIDE, SIDE)))


def test_a_run_without_an_object_to_learn_is_refused() -> None:
    with pytest.raises(InvalidConfig) as caught:
        list(unanswered(HEAD, ROWS, np.array([TINY] * 3, np.float32), (SIDE, SIDE)))
    assert caught.value.details["left_out"] == 3
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("config", "images", "steps"),
    [
        (DistillConfig(epochs=30), 205, 30),
        (DistillConfig(epochs=30), 5, 30),
        (DistillConfig(epochs=3, batch_size=8, gradient_accumulation=4), 205, 21),
        (DistillConfig(epochs=30, batch_size=8, max_steps=7), 205, 7),
        (DistillConfig(epochs=30, batch_size=8), 205, None),
        (DistillConfig(epochs=FEW_STEPS, batch_size=205), 205, None),
    ],
)
def test_few_steps_are_told(config: DistillConfig, images: int, steps: int | None) -> None:
    assert [each.details["steps"] for each in too_short(config, images)] == ([] if steps is None else [steps])


@pytest.mark.parametrize(("batch_size", "said"), [(128, True), (8, False)])
def test_a_batch_that_is_small_is_not_to_be_smaller(batch_size: int, said: bool) -> None:
    (found,) = too_short(DistillConfig(epochs=1, batch_size=batch_size), 205)
    assert ("batch_size" in found.remedy) is said
