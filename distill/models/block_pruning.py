"""A network without some of its blocks: which can be left out, by structure, and which of them are.

A stage is what follows one another in a list of modules at one size: a block that changes the shape of its input, if
there is one, and the blocks behind it that do not. Each of these adds to what passes it, so that it can be left out and
the others still see features of the kind that they were trained on. Which of them stay follows from their number
(`distill.models.blocks`), and so from the architecture alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from distill.layers.blocks import find_blocks
from distill.layers.trace import Call, trace
from distill.models.blocks import blocks_for
from distill.models.fewer_blocks import Kept, copied_without
from distill.models.sizes import FORWARD_ERRORS
from distill.pruned import rounded_down


def kept_blocks(network: nn.Module, example: Tensor, share: float) -> Kept:
    """Path of what holds blocks -> numbers of its members that stay, wherever one goes. Of a stage of n
    blocks floor((1 - share) n) stay, and at least one. `example`: an input, on the network's device."""
    calls = {call.name: call for call in find_blocks(trace(network, example), network)}
    found: Kept = {}
    for path, module in network.named_modules():
        members = [calls.get(f"{path}.{name}".lstrip(".")) for name, _ in module.named_children()]
        stay = list(_staying(members, share))
        listed = isinstance(module, nn.Sequential | nn.ModuleList)
        if len(stay) < len(members) and (listed or _runs(network, example, {path: stay})):
            found[path] = stay
    return found


@torch.no_grad()
def _runs(network: nn.Module, example: Tensor, kept: Kept) -> bool:
    """Whether whoever holds the blocks asks for them one after another, and not each by its name."""
    try:
        copied_without(network, kept)(example)
    except (AttributeError, KeyError, *FORWARD_ERRORS):
        return False
    return True


def _staying(members: Sequence[Call | None], share: float) -> Iterator[int]:
    """Numbers of those that stay. None: no block."""
    for stage in _stages(members):
        headed = not _adds(members[stage[0]])
        wanted = max(1, rounded_down(len(stage) * (1 - share)))
        places = (0,) if wanted == 1 and headed else blocks_for(len(stage), wanted)
        yield from (stage[place] for place in places)


def _stages(members: Sequence[Call | None]) -> Iterator[list[int]]:
    """Each from a member that cannot be left out to the next one."""
    stage: list[int] = []
    for number, member in enumerate(members):
        if stage and not _adds(member):
            yield stage
            stage = []
        stage.append(number)
    if stage:
        yield stage


def _adds(block: Call | None) -> bool:
    """Whether a block leaves the shape of its input as it is, and adds to it."""
    if block is None or block.shape is None or block.shape != block.source_shape:
        return False
    return any("add" in call.ops for call in (block, *block.descendants()))
