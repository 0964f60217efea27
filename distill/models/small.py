"""Our own networks for small images (about 32 x 32): no early downsampling, plain modules, stable state dicts.

ResNets: He et al. 2016, "Deep Residual Learning", section 4.2 (3 stages, `resnet8` to `resnet56`) and section 3 with
the 7x7 stem and its pooling replaced by a 3x3 convolution (4 stages, `resnet9`, `resnet18_small`, `resnet34_small`).

State dict of a ResNet (`docs/models.md` lists it with shapes, so that it can be loaded without this package):
`stem.{conv,norm}`, `stages.S.B.{conv1,norm1,conv2,norm2}`, `stages.S.B.shortcut.{conv,norm}` where the shape changes
in 4-stage networks, `head`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, ReLU: (n, c_in, h, w) -> (n, c_out, h', w')."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 3, stride: int = 1, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        if act:
            self.act = nn.ReLU(inplace=True)


class PadShortcut(nn.Module):
    """He's option A: subsample and pad the new channels with zeros. No parameters."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, channels_out - channels_in

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class BasicBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)): (n, c_in, h, w) -> (n, c_out, h/stride, w/stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.act2 = nn.ReLU(inplace=True)
        self.shortcut = _shortcut(channels_in, channels_out, stride, project)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y = y + self.shortcut(x)
        out: Tensor = self.act2(y)
        return out


def _shortcut(channels_in: int, channels_out: int, stride: int, project: bool) -> nn.Module:
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    if project:
        return ConvNormAct(channels_in, channels_out, size=1, stride=stride, act=False)
    return PadShortcut(channels_in, channels_out, stride)


class SmallResNet(nn.Module):
    """3x3 stem, `len(blocks)` stages of basic blocks (width doubles and size halves from stage to stage), global
    average pooling, flatten, linear head: (n, in_channels, h, w) -> (n, num_classes)."""

    def __init__(self, blocks: tuple[int, ...], width: int, num_classes: int, in_channels: int, project: bool) -> None:
        super().__init__()
        self.stem = ConvNormAct(in_channels, width)
        widths = [width * 2**stage for stage in range(len(blocks))]
        before = [width, *widths[:-1]]
        self.stages = nn.Sequential(
            *(
                _stage(n, before[stage], widths[stage], 1 if stage == 0 else 2, project)
                for stage, n in enumerate(blocks)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(widths[-1], num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.flatten(self.pool(self.stages(self.stem(x)))))
        return logits


def _stage(blocks: int, channels_in: int, channels_out: int, stride: int, project: bool) -> nn.Sequential:
    first = BasicBlock(channels_in, channels_out, stride, project)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out, 1, project) for _ in range(blocks - 1)))


def initialise(network: nn.Module) -> None:
    """He normal (fan out) for convolutions, N(0, 0.01) for linear layers, 1 and 0 for norms."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


Builder = Callable[[int, int, int], nn.Module]


@dataclass(frozen=True, slots=True)
class Member:
    """One name of the family: `make(num_classes, in_channels, width)`. Images need `smallest` pixels a side."""

    family: str
    width: int
    make: Builder
    smallest: int = 1


def _resnet(*blocks: int, width: int, project: bool) -> Member:
    def make(num_classes: int, in_channels: int, width: int) -> nn.Module:
        return SmallResNet(blocks, width, num_classes, in_channels, project)

    return Member("resnet", width, make)


def _plain(module: str, *arguments: int, width: int) -> Member:
    def make(num_classes: int, in_channels: int, width: int) -> nn.Module:
        from distill.models import small_plain

        builder: Callable[..., nn.Module] = getattr(small_plain, module)
        return builder(num_classes, in_channels, width, *arguments)

    family, smallest = {"vgg": ("vgg", 32), "mobilenet_v2": ("mobilenetv2", 1)}[module]  # VGG halves five times
    return Member(family, width, make, smallest)


FAMILY = MappingProxyType(
    {f"resnet{6 * n + 2}": _resnet(n, n, n, width=16, project=False) for n in (1, 2, 3, 5, 7, 9)}
    | {
        # Nine 3x3 convolutions; counting the linear layer too, some call it ResNet-10.
        "resnet9": _resnet(1, 1, 1, 1, width=64, project=True),
        "resnet18_small": _resnet(2, 2, 2, 2, width=64, project=True),
        "resnet34_small": _resnet(3, 4, 6, 3, width=64, project=True),
        "vgg11_small": _plain("vgg", 11, width=64),
        "vgg19_small": _plain("vgg", 19, width=64),
        "mobilenet_v2_small": _plain("mobilenet_v2", width=32),
    }
)
"""Name -> member. Default widths are the papers' (16 channels in He's section 4.2, 64 in section 3)."""
