"""`torchvision:retinanet_resnet50_fpn`: torchvision's RetinaNet with the rows of a detector with anchors, on any of its
ResNets.

The state dict is torchvision's own (`backbone.body.*`, `backbone.fpn.*`, `head.*`), so that a checkpoint of its trainer
is a teacher. Its transform, its matcher and its losses are not used: a run resizes, assigns and teaches by its own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models.anchors import SIGMOIDS, anchors_strides, assembled
from distill.models.points import unpack
from distill.models.pyramid_rows import Pack, grid_anchors, one_stage_backbone, sizes_of

# isort: split
from torchvision.models.detection import RetinaNet


class AnchoredRetinaNet(RetinaNet):  # type: ignore[misc]
    """(n, 3, h, w) -> rows (n, P, num_classes + 9), nine anchors a cell of levels of strides 8 to 128, in training
    too."""

    last_layer = "pyramid"
    answers = SIGMOIDS

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__(backbone, num_classes)
        self.pyramid = Pack()

    def forward(self, x: Tensor) -> Tensor:
        levels = list(self.backbone(x).values())
        sizes, image = sizes_of(levels), (x.shape[-2], x.shape[-1])
        found = self.head(unpack(self.pyramid(levels), sizes))
        anchors = grid_anchors(self.anchor_generator, sizes, image, x)
        strides = anchors_strides(sizes, image, self.anchor_generator.num_anchors_per_location(), x)
        return assembled(found["cls_logits"], found["bbox_regression"], anchors, strides)


def make(num_classes: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone`. Downloads nothing."""
    return AnchoredRetinaNet(one_stage_backbone("retinanet_resnet50_fpn", options), num_classes)
