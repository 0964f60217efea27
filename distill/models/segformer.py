"""`transformers:segformer`: SegFormer (Xie et al. 2021) by its configuration, with random weights.

Options are those of `SegformerConfig`; without any it is MiT-B0 with its decoder of 256 channels.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from torch import nn

NAME = "segformer"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 512


def available() -> bool:
    """Whether transformers, an optional part, is there. Imports nothing."""
    return find_spec("transformers") is not None


def segformer(num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    """(n, in_channels, h, w) -> an output whose `logits` are (n, num_classes, h / 4, w / 4). Downloads nothing."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    network: nn.Module = SegformerForSemanticSegmentation(
        SegformerConfig(num_labels=num_classes, num_channels=in_channels, **options)
    )
    return network


def renaming(network: nn.Module) -> Callable[[str], str]:
    """From the names of published SegFormer weights to those of the installed release: transformers renames modules
    between releases, and renames the weights when it loads them. Names of the release itself stay."""
    from transformers.conversion_mapping import get_model_conversion_mapping

    steps = get_model_conversion_mapping(network)

    def renamed(name: str) -> str:
        for step in steps:
            name, _ = step.rename_source_key(name)
        return name

    return renamed
