"""Training in fp16: the loss is scaled, a step that overflows is left out, and a run of such steps ends as diverged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.control import Control
from distill.errors import Diverged
from distill.recipe_parts.base import Setup
from distill.train import train
from distill.training import checkpoint
from tests.training.conftest import CLASSES, Alone, config, network, tiny_data, tiny_recipe
from tests.training.test_resume import drain

FP16 = {"precision": "fp16", "clip_norm": 1.0}


def test_a_run_in_fp16_is_near_that_in_fp32(tmp_path: Path) -> None:
    ends = {}
    for name, settings in (("fp16", FP16), ("fp32", FP16 | {"precision": "fp32"})):
        recipe = tiny_recipe(dropout=0.0)
        drain(train(recipe, tiny_data(), config(**settings), tmp_path / name, Control()))
        ends[name] = torch.cat([p.detach().flatten() for p in recipe.student.parameters()])
    begun = torch.cat([p.detach().flatten() for p in tiny_recipe(dropout=0.0).student.parameters()])
    assert (ends["fp16"] - ends["fp32"]).norm() < 0.05 * (ends["fp32"] - begun).norm()


class Loud(Alone):
    """A loss that fp32 holds, with gradients that fp16 cannot: beyond 65504 at every scale down to 1 where `by` is
    1e9, at the first scale alone where it is 10."""

    by = 1e9

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = super().forward(student_input, labels, targets)
        return parts | {"loss": parts["loss"] * self.by}


def loud(by: float) -> Loud:
    recipe = Loud(Setup(network(6, 3, 0.0), None, CLASSES))
    recipe.by = by
    return recipe


def test_a_step_that_overflows_changes_nothing_and_the_next_scale_is_half(tmp_path: Path) -> None:
    control = Control()
    recipe, before = loud(1e9), loud(1e9).student
    drain(train(recipe, tiny_data(), config(**FP16), tmp_path, control), control, 1)
    state = checkpoint.read(checkpoint.existing(tmp_path)[-1])
    assert state["scaler"]["scale"] == 2.0 ** (16 - state["step"])
    for now, then in zip(recipe.student.parameters(), before.parameters(), strict=True):
        assert torch.equal(now, then)


def test_gradients_that_overflow_at_every_scale_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(Diverged) as caught:
        drain(train(loud(1e9), tiny_data(), config(**FP16, epochs=6), tmp_path, Control()))
    assert "fp16" in caught.value.remedy


def test_a_scale_that_fits_is_found(tmp_path: Path) -> None:
    recipe, before = loud(10.0), loud(10.0).student
    drain(train(recipe, tiny_data(), config(**FP16), tmp_path, Control()))
    assert not torch.equal(next(recipe.student.parameters()), next(before.parameters()))
