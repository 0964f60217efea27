"""Windows of metrics, speed and time left."""

from __future__ import annotations

import pytest
import torch

from distill.answers import ClassAnswer
from distill.training.meter import Meter, Speed


def test_meter_weighs_batches_by_size_and_starts_anew() -> None:
    meter = Meter(ClassAnswer())
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    meter.add({"loss": torch.tensor(1.0), "outputs": logits}, torch.tensor([0, 0]))
    meter.add({"loss": torch.tensor(4.0), "outputs": logits[:1]}, torch.tensor([0]))
    assert meter.take() == pytest.approx({"loss": 2.0, "accuracy": 2 / 3})
    assert meter.take() == {}


def test_time_left_is_none_until_stable() -> None:
    speed = Speed(window_seconds=10.0)
    assert speed.images_per_second() == 0
    for step in range(8):
        speed.mark(step, step * 32, now=float(step))
        assert speed.eta_seconds(100) is None
    for step in range(8, 15):
        speed.mark(step, step * 32, now=float(step))
    assert speed.images_per_second() == pytest.approx(32)
    assert speed.eta_seconds(100) == pytest.approx(86)
