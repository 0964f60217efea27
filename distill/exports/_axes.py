"""A graph's inputs as torch's converters take them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.export import Graph


def arguments(graph: Graph) -> tuple[Tensor, ...]:
    """The example, in the order of the module's arguments."""
    return tuple(graph.tensors.values())


def free_axes(graph: Graph) -> tuple[dict[int, Any], ...]:
    """Of each argument which axes may have any size. The batch's is named; the bounds of the others follow from the
    network, as a text's longest from its positions."""
    batch, *others = range(len(graph.free))
    axes = {batch: torch.export.Dim(graph.free[0])} | dict.fromkeys(others, torch.export.Dim.DYNAMIC)
    return tuple(axes for _ in graph.tensors)
