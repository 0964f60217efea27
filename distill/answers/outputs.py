"""Which part of what a network returns are the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from distill.errors import InvalidConfig

KEYS = ("logits", "out")
"""transformers' name, and that of torchvision's segmentation networks."""


def logits_of(output: Any) -> Tensor:
    """The logits (n, C, ...) in a network's output: a tensor itself, `.logits` (transformers, torchvision's auxiliary
    heads), `["logits"]` or `["out"]`, or the first of a tuple. Raises `InvalidConfig` for anything else."""
    if isinstance(output, Mapping):
        output = next((output[key] for key in KEYS if key in output), output)
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if isinstance(output, Tensor):
        return output
    raise InvalidConfig(f"The network returns {type(output).__name__}, which has no logits.", "Use a classifier.", {})
