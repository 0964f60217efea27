"""Networks with fewer blocks than their constructor makes: made again by the numbers of those that stay."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import nn

from distill.errors import InvalidConfig

Kept = dict[str, list[int]]
"""Path of what holds blocks -> numbers of its members that stay, rising."""


def without(network: nn.Module, kept: Mapping[str, Sequence[int]]) -> nn.Module:
    """`network` itself with these members of what holds its blocks alone (`kept_blocks`); numbers count anew. Raises
    `InvalidConfig` for a path that the network has not, and for numbers beyond its members."""
    modules = dict(network.named_modules())
    for path, numbers in kept.items():
        module = modules.get(path)
        if module is None or numbers[-1] >= len(list(module.children())):
            raise InvalidConfig(
                f"A {type(network).__name__} without some of its blocks cannot have {list(numbers)} at {path!r}.",
                "Give what a pruned student's header has, with the options of its own network.",
                {"path": path},
            )
        named = list(module.named_children())
        counted = all(name == str(number) for number, (name, _) in enumerate(named))
        left = [named[number] for number in numbers]
        module._modules = OrderedDict((str(at) if counted else name, each) for at, (name, each) in enumerate(left))
    return network


def copied_without(network: nn.Module, kept: Mapping[str, Sequence[int]]) -> nn.Module:
    """A copy of it, as of `without`."""
    return without(copy.deepcopy(network), kept)
