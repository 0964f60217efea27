"""`torchvision:fcos_resnet50_fpn`: torchvision's FCOS with the rows of a dense detector, on any of its ResNets.

The state dict is torchvision's own (`backbone.body.*`, `backbone.fpn.*`, `head.*`), so that a checkpoint of its trainer
is a teacher. Its transform, anchors' matching and losses are not used: a run resizes, assigns and teaches by its own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models.points import POINTS, assemble, unpack
from distill.models.pyramid_rows import Pack, one_stage_backbone, sizes_of

# isort: split
from torchvision.models.detection import FCOS

AT_THE_CORNER = 0.0
"""Shares of a stride from a cell's corner to its point: torchvision's anchors stand at the corner."""


class DenseFCOS(FCOS):  # type: ignore[misc]
    """(n, 3, h, w) -> rows (n, P, num_classes + 8) of levels of strides 8 to 128, in training too."""

    last_layer = "pyramid"
    answers = POINTS

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__(backbone, num_classes)
        self.pyramid = Pack()

    def forward(self, x: Tensor) -> Tensor:
        levels = list(self.backbone(x).values())
        sizes = sizes_of(levels)
        found = self.head(unpack(self.pyramid(levels), sizes))
        distances, centerness = found["bbox_regression"], found["bbox_ctrness"]
        image = (x.shape[-2], x.shape[-1])
        return assemble(found["cls_logits"], distances, centerness, sizes, image, AT_THE_CORNER)


def make(num_classes: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone`. Downloads nothing."""
    return DenseFCOS(one_stage_backbone("fcos_resnet50_fpn", options), num_classes)
