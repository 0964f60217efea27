"""Train and eval mode, and what networks remember of their weights between the two.

timm's LeViT, EfficientFormer (V1, V2), EfficientViT-M and TinyViT gather their attention biases from the weights once,
in eval mode, and keep them. `train()` makes them forget in every version of timm that we take. In some nothing else
does: not `eval()`, a move, a cast or a copy, nor setting `training`, nor new weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """`eval()` inside the block, so that no batch statistics move; after it every module has its own mode again.

    Modes are changed by `train(mode)` of every module, by way of `train()`: the block uses nothing that was computed
    from earlier weights, and leaves nothing behind.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.train()
    network.eval()
    try:
        yield
    finally:
        network.train()
        for module, mode in modes:
            module.train(mode)
        for module, mode in modes:  # a module that stands below two others has followed the second
            module.training = mode


def clear_caches(network: nn.Module) -> None:
    """Call after new weights were put in: the next forward pass computes everything from them. Modes stay."""
    with evaluating(network):
        pass
