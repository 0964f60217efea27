"""The peak learning rate for `auto`, by optimizer, family and size; each schedule is torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as theirs

from distill import torchvision_shim  # noqa: F401
from distill.training.peak import TRANSFORMER_PEAKS, peak_learning_rate, sgd_peak
from distill.training.plan import Descent, Length
from distill.training.schedule import WARM_UP_START, schedule
from distill.types import DistillConfig

PEAKS = {
    "vit_tiny_patch16_224": 1e-3,
    "vit_small_patch16_224": 5e-4,
    "vit_base_patch16_224": 1e-4,
    "vit_large_patch16_224": 1e-4,
    "deit_tiny_distilled_patch16_224": 1e-3,
    "deit_small_patch16_224": 5e-4,
    "deit_base_patch16_224": 1e-4,
    "swin_tiny_patch4_window7_224": 5e-4,
    "swin_base_patch4_window7_224": 1e-4,
    "convnext_tiny": 5e-4,
    "resnet18": 7.5e-3,
    "resnet152": 7.5e-3,
    "mobilenetv2_100": 7.5e-3,
    "vgg11": 5e-3,
}


@pytest.mark.parametrize("name", PEAKS)
@pytest.mark.parametrize("classes", [10, 1000])
def test_the_peak_follows_the_family_and_the_size_of_a_transformer(name: str, classes: int) -> None:
    import timm

    with torch.device("meta"):
        network = timm.create_model(name, num_classes=classes)
    assert peak_learning_rate(network)[0] == PEAKS[name]


@pytest.mark.parametrize(("name", "size"), [("vit_b_16", "B"), ("swin_t", "S"), ("swin_b", "B")])
def test_the_reason_names_the_published_size(name: str, size: str) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        peak, reason = peak_learning_rate(get_model(name))
    assert peak == TRANSFORMER_PEAKS[size][1]
    assert f"size {size}" in reason


@pytest.mark.parametrize(("name", "batch", "peak"), [
    ("resnet18", 64, 0.05), ("resnet18", 128, 0.1), ("resnet18", 4096, 0.4), ("mobilenetv2_100", 64, 0.01),
])  # fmt: skip
def test_the_peak_of_sgd_follows_batch_and_convolutions(name: str, batch: int, peak: float) -> None:
    import timm

    with torch.device("meta"):
        network = timm.create_model(name)
    assert sgd_peak(network, batch)[0] == pytest.approx(peak)


PEAK, PER_EPOCH = 0.02, 10


def _torchs(name: str, optimizer: torch.optim.Optimizer, warm: int, total: int) -> Any:
    if name == "cosine":
        down = theirs.CosineAnnealingLR(optimizer, total - warm)
        if not warm:
            return down
        up = theirs.LinearLR(optimizer, WARM_UP_START, total_iters=warm)
        return theirs.SequentialLR(optimizer, [up, down], [warm])
    found = [theirs.MultiStepLR(optimizer, [20, 35], 0.3)] if name == "multi_step" else []
    warming = [theirs.LinearLR(optimizer, WARM_UP_START, total_iters=warm)] if warm else []
    return theirs.ChainedScheduler([*warming, *found, theirs.ConstantLR(optimizer, 1.0)])


@pytest.mark.parametrize("name", ["cosine", "multi_step", "constant"])
@pytest.mark.parametrize("up", [0.0, 0.1, 0.35])
@pytest.mark.parametrize("epochs", [4, 7])
def test_each_schedule_is_torchs(name: str, up: float, epochs: int) -> None:
    steps = {"milestones": [2, 3.5], "gamma": 0.3} if name == "multi_step" else {}
    config = DistillConfig(schedule=name, epochs=epochs, **steps)  # type: ignore[arg-type]
    length = Length(PER_EPOCH, 1, PER_EPOCH * epochs)
    ours = schedule(config, Descent(0.01, up, milestones=(2, 3.5)), PEAK, length)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = _torchs(name, optimizer, round(up * length.total_steps), length.total_steps)
    for step in range(length.total_steps):
        assert ours(step) == (pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-15), None)
        optimizer.step()
        scheduler.step()


def test_one_cycle_moves_sgds_momentum_as_torch_does() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = theirs.OneCycleLR(optimizer, max_lr=PEAK, total_steps=40, pct_start=0.3)
    ours = schedule(DistillConfig(optimizer="sgd", epochs=4), Descent(5e-4, 0.3, 0.95), PEAK, Length(10, 1, 40))
    for step in range(40):
        group = optimizer.param_groups[0]
        assert ours(step) == pytest.approx((group["lr"], group["momentum"]), rel=1e-9)
        optimizer.step()
        if step < 39:
            scheduler.step()
