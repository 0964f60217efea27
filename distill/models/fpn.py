"""`retort:fpn`: any timm backbone under a light feature pyramid that names the class of every pixel.

Lin et al. 2017, "Feature Pyramid Networks", and of Kirillov et al. 2019 ("Panoptic FPN") the sum of all levels. Light:
one 1x1 convolution a level, one 3x3 convolution on the finest.

State dict: `backbone.*` (timm's own names under `features_only`), `decoder.lateral.L.{weight,bias}`,
`decoder.smooth.{conv,norm}.*`, `head.{weight,bias}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.models.small import ConvNormAct

BACKBONE, WIDTH = "resnet18", 64
FINEST = 4
"""Stride of the finest level that is used, where the backbone has one so fine."""
NO_END = 2**31
OF_BACKBONE = ("img_size", "drop_path_rate")
"""Options that are handed on to the backbone."""


class Decoder(nn.Module):
    """Levels (n, c_l, h_l, w_l), the finest first -> (n, width, h_0, w_0).

    p_L = lateral_L(x_L),  p_l = lateral_l(x_l) + upsampled(p_{l+1}),  out = smooth(p_0); bilinear upsampling.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = ConvNormAct(width, width)

    def forward(self, levels: list[Tensor]) -> Tensor:
        *finer, x = (lateral(level) for lateral, level in zip(self.lateral, levels, strict=True))
        for level in reversed(finer):
            x = level + F.interpolate(x, size=level.shape[-2:], mode="bilinear", align_corners=False)
        smooth: Tensor = self.smooth(x)
        return smooth


class FPN(nn.Module):
    """(n, in_channels, h, w) -> logits (n, num_classes, h, w), bilinearly upsampled from the finest level.

    No connection bypasses `decoder`, so a recipe whose head learns from detached features distils up to it.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, width: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = Decoder(backbone.feature_info.channels(), width)  # type: ignore[operator, union-attr]
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.decoder(maps_of(self.backbone, x)))
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def backbone_of(options: Mapping[str, Any]) -> str:
    """timm's name of the backbone."""
    return str(options.get("backbone", BACKBONE)).removeprefix("timm:")


def fpn(num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone` (a timm name, default resnet18), `width` (channels of the decoder, default 64), `img_size`
    (the input's side, for backbones with fixed positions), `drop_path_rate` (the backbone's). Raises `InvalidConfig`
    for a backbone that gives no feature maps."""
    more = {key: options[key] for key in OF_BACKBONE if key in options}
    backbone = levels_of(backbone_of(options), in_channels, range(FINEST, NO_END), more)
    return FPN(backbone, num_classes, options.get("width", WIDTH))


def maps_of(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    """The levels (n, c, h, w) that timm's network gives of a batch. Swin's are (n, h, w, c) and say so; some networks
    say nothing (MobileNetV3's), and theirs are (n, c, h, w)."""
    levels: list[Tensor] = backbone(x)
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        return [level.permute(0, 3, 1, 2) for level in levels]
    return levels


def levels_of(name: str, in_channels: int, strides: range, more: Mapping[str, Any]) -> nn.Module:
    """timm's network as a list of maps, the finest first, of those strides that are in `strides`; all of its maps where
    none is. `more`: options of its own. Raises `InvalidConfig` for a network that gives no maps."""
    import timm  # here: names.py says why

    try:
        backbone = timm.create_model(name, pretrained=False, features_only=True, in_chans=in_channels, **more)
        found = backbone.feature_info.reduction()
        levels = [i for i, stride in enumerate(found) if stride in strides]
        if levels and len(levels) < len(found):
            backbone = timm.create_model(
                name, pretrained=False, features_only=True, in_chans=in_channels, out_indices=levels, **more
            )
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        if isinstance(error, TypeError) and more:
            raise  # a network of any input size takes none: it is built without
        raise InvalidConfig(
            f"The backbone timm:{name} gives no feature maps: {str(error)[:200]}",
            "Choose a convolutional network, a Swin or a plain vision transformer.",
            {"option": "backbone", "value": name},
        ) from error
    return backbone  # type: ignore[no-any-return]
