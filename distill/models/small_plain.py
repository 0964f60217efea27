"""VGG and MobileNetV2 for small images (32 x 32): torchvision's networks with the early downsampling taken out."""

from __future__ import annotations

import torchvision.models.mobilenetv2 as mobilenetv2
from torch import Tensor, nn

# Convolutions per stage, of Simonyan & Zisserman 2015, configurations A and E.
_VGG_STAGES = {11: (1, 1, 2, 2, 2), 19: (2, 2, 4, 4, 4)}


class SmallVGG(nn.Module):
    """Five stages of 3x3 convolution, batch norm, ReLU, each closed by max pooling; global average pooling, flatten,
    two hidden linear layers with ReLU, head: (n, in_channels, h, w) -> (n, num_classes), h and w at least 32."""

    def __init__(self, num_classes: int, in_channels: int, width: int, depth: int) -> None:
        super().__init__()
        last = 8 * width
        self.features = nn.Sequential(*_convolutions(in_channels, width, _VGG_STAGES[depth]))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.classifier = nn.Sequential(
            nn.Linear(last, last), nn.ReLU(), nn.Linear(last, last), nn.ReLU(), nn.Linear(last, num_classes)
        )
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.flatten(self.pool(self.features(x))))
        return logits


def _convolutions(channels: int, width: int, stages: tuple[int, ...]) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for stage, count in enumerate(stages):
        out = width * min(2**stage, 8)
        for _ in range(count):
            modules += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            channels = out
        modules.append(nn.MaxPool2d(2))
    return modules


def _initialise(network: nn.Module) -> None:
    """He normal everywhere: hidden linear layers with a smaller scale would start the classifier dead."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def vgg(num_classes: int, in_channels: int, width: int, depth: int) -> nn.Module:
    """VGG-11 or VGG-19 (`depth`) with batch norm; `width` is the first stage's channels (the paper's: 64)."""
    return SmallVGG(num_classes, in_channels, width, depth)


# expansion t, channels c, repeats n, stride s: Sandler et al. 2018, table 2, with stage 2 kept at full resolution.
_INVERTED_RESIDUALS = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


def mobilenet_v2(num_classes: int, in_channels: int, width: int) -> nn.Module:
    """MobileNetV2 with strides for 32 x 32 (stem and second stage 1); `width` / 32 is the width multiplier."""
    network = mobilenetv2.MobileNetV2(
        num_classes=num_classes, width_mult=width / 32, inverted_residual_setting=_INVERTED_RESIDUALS
    )
    stem = nn.Conv2d(in_channels, network.features[0][0].out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out")
    network.features[0][0] = stem
    result: nn.Module = network
    return result
