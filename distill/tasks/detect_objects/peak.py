"""The peak learning rate of `auto` for a detector that is taught by AdamW and its kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from distill.types import Architecture

PEAKS: Mapping[str, float] = MappingProxyType(
    {
        "retort:fcos": 2e-3,
        "torchvision:fcos_resnet50_fpn": 5e-4,
        "torchvision:retinanet_resnet50_fpn": 5e-4,
        "torchvision:ssdlite320_mobilenet_v3_large": 2e-3,
        "torchvision:fasterrcnn_resnet50_fpn": 2e-3,
    }
)
"""**Our choice**, by short runs from noise at 7.5e-3, 2e-3 and 5e-4 (benchmarks/results/detection-rates.md). At 7.5e-3,
which suits residual classifiers, RetinaNet and Faster R-CNN diverge."""


def peak_of(architecture: Architecture) -> tuple[float, str] | None:
    """With the reason; None where the family of the network tells, as transformers' does."""
    peak = PEAKS.get(architecture.name)
    return None if peak is None else (peak, f"{peak:g}, for {architecture.name} (our choice, by short runs)")
