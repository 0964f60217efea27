"""Which sizes of images a network runs on: refused by name, with the size that it does take."""

from __future__ import annotations

import torch
from torch import nn

from distill.errors import InvalidConfig
from distill.models.build import SIZE_OPTIONS, skeleton
from distill.models.preprocessing import preprocessing
from distill.types import Architecture

FORWARD_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError, ArithmeticError)
"""What forward passes raise on images that are too small, or of a size that the network was not made for."""


def unfit_size(architecture: Architecture, size: tuple[int, int], error: Exception) -> InvalidConfig:
    """The refusal of images of `size` (height, width), on which the network failed with `error`.

    Some networks ignore the size that they are told and run on their own alone (EfficientFormer: its attention is over
    7 x 7 positions, that is, images of 224 x 224): then the refusal says so.
    """
    own = _own(architecture)
    details = {"field": "image_size", "value": size[0], "error": str(error)[:200]}
    what = f"{architecture.name} does not run on images of {size[0]} x {size[1]}"
    if own is None or own == size:
        return InvalidConfig(f"{what}: {str(error)[:200]}", "Choose another image_size, or other options.", details)
    return InvalidConfig(
        f"{what}; its own size is {own[0]} x {own[1]}.", f"Set image_size to {own[0]}, or to auto.",
        details | {"own": list(own)},
    )  # fmt: skip


def _own(architecture: Architecture) -> tuple[int, int] | None:
    """(height, width) that the network was made for, if it runs on it."""
    options = {key: value for key, value in architecture.options.items() if key not in SIZE_OPTIONS}
    architecture = architecture.model_copy(update={"options": options})
    how = preprocessing(architecture)
    try:
        network = skeleton(architecture, 2, how.channels, how.size).to("meta").eval()
        run_on_meta(network, how.channels, how.size)
    except (InvalidConfig, NotImplementedError, *FORWARD_ERRORS):
        return None
    return how.size


@torch.no_grad()
def run_on_meta(network: nn.Module, channels: int, size: tuple[int, int]) -> None:
    """One sample through a network on the meta device, in eval mode: nothing is computed."""
    network(torch.empty(1, channels, *size, device="meta"))
