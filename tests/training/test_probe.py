"""The probe measures, chooses, and leaves no trace."""

from __future__ import annotations

import pytest
import torch

from distill.training import probe
from distill.training.mode import Mode
from distill.training.probe import Example, candidates, choose, fastest, untouched
from distill.training.rng import capture_rng
from tests.training.conftest import alone, config, network, tiny_recipe

CPU = torch.device("cpu")


def example(size: int = 8) -> Example:
    images = torch.randn(size, 3, 8, 8)
    return Example(images, images, torch.arange(size) % 4, torch.arange(size))


@pytest.mark.parametrize("make", [tiny_recipe, alone])
def test_probing_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    monkeypatch.setattr(probe, "MIN_RUN_SECONDS", 0.0)
    recipe = make()  # type: ignore[operator]
    tensors = {name: (value.data_ptr(), value.stride(), value.clone()) for name, value in recipe.state_dict().items()}
    batch = example()
    before = capture_rng()
    automatic = config(precision="auto", channels_last="auto", compile="auto")
    choice = choose(recipe, batch, automatic, CPU, total_steps=1000)
    assert "timed on this machine" in choice.reasons["student_mode"]
    for name, value in recipe.state_dict().items():
        pointer, stride, copy = tensors[name]
        assert (value.data_ptr(), value.stride()) == (pointer, stride)
        assert torch.equal(value, copy)
    assert all(parameter.grad is None for parameter in recipe.parameters())
    after = capture_rng()
    assert torch.equal(before["torch"], after["torch"])
    assert before["python"] == after["python"]
    assert before["numpy"] == after["numpy"]


def test_short_runs_are_not_probed() -> None:
    automatic = config(precision="auto", channels_last="auto")
    assert "too few" in choose(alone(), example(), automatic, CPU, total_steps=10).reasons["student_mode"]
    assert "too short" in choose(alone(), example(), automatic, CPU, total_steps=60).reasons["student_mode"]


def test_fastest_needs_a_clear_gain() -> None:
    plain, formatted, half = Mode(), Mode("fp32", True), Mode("bf16", True)
    seconds = {plain: 1.2, formatted: 0.95, half: 0.5}
    assert fastest([plain, formatted], seconds.__getitem__, 1.0, 100.0)[0] == plain
    best, reason = fastest([plain, formatted, half], seconds.__getitem__, 1.0, 100.0)
    assert best == half
    assert "500 ms" in reason
    assert fastest([plain, half], seconds.__getitem__, 1.0, 0.0)[0] == plain  # no time to measure
    # The first measurement of plain was disturbed; measured again it is as fast.
    assert fastest([plain, half], {plain: 0.5, half: 0.5}.__getitem__, 3.0, 100.0)[0] == plain


def test_candidates_honour_what_is_given() -> None:
    recipe = alone()
    assert candidates(config(precision="fp32", channels_last=True), recipe, CPU, 1e6) == [Mode("fp32", True)]
    automatic = config(precision="auto", channels_last="auto", compile="auto")
    modes = candidates(automatic, recipe, CPU, 1e6)
    assert modes[0] == Mode()
    assert not any(mode.compile for mode in modes)
    assert Mode("fp32", True) in modes


def test_untouched_restores_the_same_tensors_after_an_error() -> None:
    module = network(4, 0)
    before = [value.data_ptr() for value in module.parameters()]
    with pytest.raises(ValueError, match="inside"):
        _spoil(module)
    assert [value.data_ptr() for value in module.parameters()] == before
    assert all(bool(value.any()) for value in module[0].parameters())


def _spoil(module: torch.nn.Module) -> None:
    with untouched(module):
        for value in module.parameters():
            value.data.zero_()
        raise ValueError("inside")


def test_mode_layout_and_names() -> None:
    image, vector = torch.randn(2, 3, 4, 4), torch.randn(2, 3)
    mode = Mode("bf16", True)
    laid = mode.layout({"pixel_values": image, "ids": vector})
    assert laid["pixel_values"].is_contiguous(memory_format=torch.channels_last)
    assert laid["ids"] is vector
    assert str(mode) == "bf16 channels_last"
