"""The peak learning rate for `auto`: published by family, and for transformers by size."""

from __future__ import annotations

import pytest
import torch

from distill import torchvision_shim  # noqa: F401
from distill.training.schedule import TRANSFORMER_PEAKS, peak_learning_rate

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
