"""torchvision's detectors that are known here, without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2")
MOBILENETS = ("mobilenet_v3_large", "mobilenet_v3_small")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class Detector:
    """`module`: of `distill.models`, whose `make(num_classes, options)` builds the network. `backbones`: what its
    option `backbone` may be, the default first. `side`: pixels of the square input where nothing says one. `view`: mean
    and std of its pictures. `most`: the most proposals that its option `proposals` may ask for; 0: it makes none."""

    module: str
    backbones: tuple[str, ...]
    side: int
    view: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    most: int = 0

    @property
    def backbone(self) -> str:
        return self.backbones[0]


_PYRAMID = ("resnet50", *(name for name in RESNETS if name != "resnet50"))
DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "fcos_resnet50_fpn": Detector("torchvision_fcos", _PYRAMID, 800),
        "retinanet_resnet50_fpn": Detector("torchvision_retinanet", _PYRAMID, 800),
        "fasterrcnn_resnet50_fpn": Detector("torchvision_fasterrcnn", (*_PYRAMID, *MOBILENETS), 800, most=2000),
        "ssdlite320_mobilenet_v3_large": Detector("torchvision_ssdlite", MOBILENETS, 320, HALF),
    }
)
"""By torchvision's name. The side of 800 is that of the shorter side in torchvision's training."""
