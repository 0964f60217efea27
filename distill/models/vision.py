"""`transformers:vit`, `swin`, `convnext`, `resnet`, `dinov2`: transformers' own classes of pictures, by configuration.

Options are the fields of the family's configuration (`distill.vision_folder.OPTIONS`). Names of tensors are
transformers' own; older and headless files are read by `renamed`. Nothing is downloaded, and no code but transformers'
own is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401 - before torchvision, which transformers imports
from distill.modalities.images.preprocessing import Preprocessing
from distill.models.segformer import available, renaming
from distill.vision_folder import FAMILIES

SIZED = frozenset({"vit", "swin", "dinov2"})
"""Families with tensors that follow the size of the pictures, or that take no other."""
_CLASSES = {"vit": "ViT", "swin": "Swin", "convnext": "ConvNext", "resnet": "ResNet", "dinov2": "Dinov2"}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5,) * 3, (0.5,) * 3)
SIDE = 224


def families() -> tuple[str, ...]:
    """Those that can be built here: none without transformers, an optional part."""
    return FAMILIES if available() else ()


def vision(family: str, num_classes: int, in_channels: int, options: Mapping[str, Any]) -> nn.Module:
    """(n, in_channels, h, w) -> logits (n, num_classes); with `num_classes` 0 what the classifier would see, (n,
    width)."""
    configuration = getattr(import_module(f"transformers.models.{family}"), f"{_CLASSES[family]}Config")
    network: nn.Module = _answering(family)(configuration(**configured(family, num_classes, in_channels, options)))
    return network


def named(family: str) -> tuple[str, str]:
    """What transformers calls the family's configuration and its classifier."""
    return f"{_CLASSES[family]}Config", f"{_CLASSES[family]}ForImageClassification"


def configured(family: str, num_classes: int, in_channels: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's arguments. A ConvNeXt's stages are as many as its depths."""
    stages = {"num_stages": len(options["depths"])} if family == "convnext" and "depths" in options else {}
    return {"num_labels": num_classes, "num_channels": in_channels, **options, **stages}


def _answering(family: str) -> type[nn.Module]:
    """The family's classifier with the logits themselves as its answer."""
    base: Any = getattr(import_module(f"transformers.models.{family}"), named(family)[1])

    def forward(self: Any, pixel_values: Tensor) -> Tensor:
        logits: Tensor = base.forward(self, pixel_values).logits
        return logits

    made: type[nn.Module] = type(base.__name__, (base,), {"forward": forward})
    return _MADE.setdefault(family, made)


_MADE: dict[str, type[nn.Module]] = {}
"""One class a family, so that two networks of it are of one class."""


def renamed(network: Any, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors by the names of the installed release: with the prefix that a model without a classifier lacks,
    without what such a model has beside its trunk (a ViT's pooler)."""
    prefix, own = f"{network.base_model_prefix}.", set(network.state_dict())
    names = renaming(network)
    trunk = not any(name.startswith(prefix) for name in state)
    found = {names(f"{prefix}{name}" if trunk else name): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in found.items() if name in own or not trunk}


def seeing(family: str) -> Preprocessing:
    """How the family's published weights see, where nobody tells: as its image processor in transformers."""
    mean, std = _HALF if family == "vit" else _IMAGENET
    crop = 224 / 256 if family in ("convnext", "resnet", "dinov2") else 1.0
    return Preprocessing(mean, std, (SIDE, SIDE), "bilinear" if family == "vit" else "bicubic", crop=crop)
