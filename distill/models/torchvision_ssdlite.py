"""`torchvision:ssdlite320_mobilenet_v3_large`: torchvision's SSDLite with the rows of a detector with anchors.

The state dict is torchvision's own (`backbone.features.*`, `backbone.extra.*`, `head.*`), so that a checkpoint of its
trainer is a teacher: one class of the file is the background. Its transform, matcher and losses are not used.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models.anchors import (
    DEFAULT_BOXES,
    FINE,
    against_background,
    anchors_strides,
    assembled,
)
from distill.models.detectors import DETECTORS
from distill.models.points import Size
from distill.models.pyramid_rows import sizes_of

# isort: split
import torchvision.models
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead

NAME = "ssdlite320_mobilenet_v3_large"
LEVELS, SCALES = 6, (0.2, 0.95)


class AnchoredSSDLite(SSD):  # type: ignore[misc]
    """(n, 3, h, w) -> rows (n, P, num_classes + 9) of six levels, in training too. Class logits are those against the
    background's: p(class) is a softmax of them and of 0."""

    last_layer = "backbone.features.0"  # of the finest level: those after it pass each other by
    answers = DEFAULT_BOXES

    def forward(self, x: Tensor) -> Tensor:
        levels = list(self.backbone(x).values())
        sizes, image = sizes_of(levels), (x.shape[-2], x.shape[-1])
        found = self.head(levels)
        boxes = default_boxes(self.anchor_generator, sizes, image, x)
        strides = anchors_strides(sizes, image, self.anchor_generator.num_anchors_per_location(), x)
        return assembled(against_background(found["cls_logits"]), found["bbox_regression"], boxes, strides, FINE)


def default_boxes(generator: Any, sizes: list[Size], image: Size, like: Tensor) -> Tensor:
    """(P, 4): torchvision's default boxes, in pixels of an input of `image` (height, width)."""
    shares: Tensor = generator._grid_default_boxes(sizes, image).to(like.device, torch.float32)
    sides = shares.new_tensor([image[1], image[0]])
    return torch.cat([shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2], -1) * sides.repeat(2)


def make(num_classes: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone`. As torchvision's builder without weights of a backbone, with its reduced tail. Downloads
    nothing."""
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    build = getattr(torchvision.models, options.get("backbone", DETECTORS[NAME].backbone))
    blocks = build(weights=None, norm_layer=norm, reduced_tail=True).features
    last = [i for i, block in enumerate(blocks) if getattr(block, "_is_cn", False)][-1]
    backbone = SSDLiteFeatureExtractorMobileNet(blocks, last, norm)
    generator = DefaultBoxGenerator([[2, 3]] * LEVELS, min_ratio=SCALES[0], max_ratio=SCALES[1])
    widths = _widths(backbone)
    head = SSDLiteHead(widths, generator.num_anchors_per_location(), num_classes + 1, norm)
    side = DETECTORS[NAME].side
    return AnchoredSSDLite(backbone, generator, (side, side), num_classes + 1, head=head)


def _widths(backbone: nn.Module) -> list[int]:
    """Channels of its levels: each is the last convolution of its block's."""
    levels = [*backbone.features, *backbone.extra]  # type: ignore[misc]
    return [[m for m in level.modules() if isinstance(m, nn.Conv2d)][-1].out_channels for level in levels]
