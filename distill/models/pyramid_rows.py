"""What torchvision's detectors on pyramids have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models.detectors import DETECTORS
from distill.models.points import Size, pack

# isort: split
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

LEVELS, ALL = [2, 3, 4], 5
"""C3 to C5, as torchvision's builders of one-stage detectors; all stages are trained."""


def one_stage_backbone(architecture: str, options: Mapping[str, Any]) -> nn.Module:
    """The pyramid of strides 8 to 128 on a ResNet that torchvision's builder of this one-stage detector makes.
    `options`: `backbone`. Downloads nothing."""
    backbone: nn.Module = resnet_fpn_backbone(
        backbone_name=options.get("backbone", DETECTORS[architecture].backbone), weights=None,
        norm_layer=nn.BatchNorm2d, trainable_layers=ALL, returned_layers=LEVELS,
        extra_blocks=LastLevelP6P7(256, 256),
    )  # fmt: skip
    return backbone


class Pack(nn.Module):
    """Maps of all levels -> one feature (n, P, c), which no connection passes by. Without parameters."""

    def forward(self, levels: list[Tensor]) -> Tensor:
        return pack(levels)


def sizes_of(levels: Sequence[Tensor]) -> list[Size]:
    """(h, w) of maps (n, c, h, w)."""
    return [(level.shape[-2], level.shape[-1]) for level in levels]


def grid_anchors(generator: Any, sizes: Sequence[Size], image: Size, like: Tensor) -> Tensor:
    """(P, 4): the anchors of torchvision's `AnchorGenerator` on levels of `sizes`, level after level, within it in
    reading order, within a cell as the generator has them; in fp32 on the device of `like`."""
    found = []
    for (height, width), cell in zip(sizes, generator.cell_anchors, strict=True):
        down, right = image[0] // height, image[1] // width
        y = torch.arange(height, device=like.device, dtype=torch.float32) * down
        x = torch.arange(width, device=like.device, dtype=torch.float32) * right
        corner = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1).reshape(-1, 1, 2)
        found.append((corner.repeat(1, 1, 2) + cell.to(like.device, torch.float32)).reshape(-1, 4))
    return torch.cat(found)
