"""`retort:fcos`: any timm backbone under a feature pyramid and a shared head that names the object at every point.

Tian et al. 2019, "FCOS: Fully Convolutional One-Stage Object Detection" (arXiv 1904.01355), made light: levels of
strides 8, 16 and 32 alone, `width` channels, `depth` convolutions a branch of the head, and batch norm in the pyramid.

State dict: `backbone.*` (timm's own names under `features_only`), `pyramid.lateral.L.{weight,bias}`,
`pyramid.smooth.L.{conv,norm}.*`, `head.{classes,boxes}.{conv,norm}.B.*`, `head.{logits,distances,centerness}.*`,
`head.scales`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.models.fpn import OF_BACKBONE, backbone_of, levels_of, maps_of
from distill.models.points import POINTS, assemble, pack, unpack
from distill.models.small import ConvNormAct

WIDTH, DEPTH, FINEST, COARSEST = 64, 2, 8, 32
PRIOR = 0.01
"""p(class) that an untrained head gives every point: the start of a focal loss (Lin et al. 2017, section 4.1)."""
MOST = 4.0
"""ln of the largest distance, in strides: a large gradient cannot make a box that is not finite."""
GROUPS = 16


class Pyramid(nn.Module):
    """Levels (n, c_l, h_l, w_l), the finest first -> (n, P, width), P = sum_l h_l w_l.

    p_L = lateral_L(x_L),  p_l = lateral_l(x_l) + upsampled(p_{l+1}),  out_l = smooth_l(p_l); nearest upsampling. All
    levels leave as one feature, so that no connection passes it by: a recipe whose head learns from detached features
    distils up to here, and another network's pyramid can be put in its place.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(ConvNormAct(width, width) for _ in channels)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        *finer, x = (lateral(level) for lateral, level in zip(self.lateral, levels, strict=True))
        summed = [x]
        for level in reversed(finer):
            x = level + F.interpolate(x, size=level.shape[-2:], mode="nearest")
            summed.insert(0, x)
        return pack([smooth(level) for smooth, level in zip(self.smooth, summed, strict=True)])


class Tower(nn.Module):
    """`depth` times convolution and group norm, ReLU between them, (n, width, h, w) -> the same. Group norm, since all
    levels share the layers and have statistics of their own."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth))
        self.norm = nn.ModuleList(nn.GroupNorm(math.gcd(width, GROUPS), width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm[0](self.conv[0](x))
        for conv, norm in zip(self.conv[1:], self.norm[1:], strict=True):
            x = norm(conv(F.relu(x)))
        return x


class Head(nn.Module):
    """Levels (n, width, h_l, w_l) -> of each class logits (n, C, h_l, w_l), distances (n, 4, h_l, w_l) in strides, and
    centerness (n, 1, h_l, w_l).

    distance = exp(s_l x), with s_l learnt for each level, as in the paper; x cut so that it stays below e^4 strides.
    The ReLUs are the head's own operations: none of them is a layer that a recipe might distil.
    """

    def __init__(self, width: int, num_classes: int, depth: int, levels: int) -> None:
        super().__init__()
        self.classes, self.boxes = Tower(width, depth), Tower(width, depth)
        self.logits = nn.Conv2d(width, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(width, 4, 3, padding=1)
        self.centerness = nn.Conv2d(width, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(levels))
        for layer in (self.logits, self.distances, self.centerness):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.logits.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        return [self._level(level, scale) for level, scale in zip(levels, self.scales, strict=True)]

    def _level(self, level: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        beside = F.relu(self.boxes(level))
        distances = (scale * self.distances(beside)).clamp(max=MOST).exp()
        return self.logits(F.relu(self.classes(level))), distances, self.centerness(beside)


class FCOS(nn.Module):
    """(n, in_channels, h, w) -> rows (n, P, num_classes + 8), as `distill.models.points.Points` reads them."""

    last_layer = "pyramid"
    answers = POINTS

    def __init__(self, backbone: nn.Module, num_classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.backbone = backbone
        channels: list[int] = backbone.feature_info.channels()  # type: ignore[operator, union-attr]
        self.pyramid = Pyramid(channels, width)
        self.head = Head(width, num_classes, depth, len(channels))

    def forward(self, x: Tensor) -> Tensor:
        levels = maps_of(self.backbone, x)
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        found = self.head(unpack(self.pyramid(levels), sizes))
        classes, distances, centerness = (pack(column) for column in zip(*found, strict=True))
        return assemble(classes, distances, centerness, sizes, (x.shape[-2], x.shape[-1]))


def fcos(num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone` (a timm name, default resnet18), `width` (channels of pyramid and head, default 64),
    `depth` (convolutions a branch of the head, default 2), `finest` (stride of the finest level, default 8; 4 for small
    objects in small pictures, at four times the points), `img_size` (the input's side, for backbones with fixed
    positions), `drop_path_rate` (the backbone's). Raises `InvalidConfig` for a backbone that gives no feature maps of
    such strides."""
    finest = options.get("finest", FINEST)
    more = {key: options[key] for key in OF_BACKBONE if key in options}
    backbone = levels_of(backbone_of(options), in_channels, range(finest, COARSEST + 1), more)
    return FCOS(backbone, num_classes, options.get("width", WIDTH), options.get("depth", DEPTH))
