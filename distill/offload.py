"""Networks whose blocks lie in the host's memory while they rest (CPU offload): one that does not fit a device runs
there block by block.

Of a network of B blocks the device holds what is in no block, and of the blocks the one that runs. A pass takes every
block's parameters to the device once. Gradients reach the parameters that rest; a pass that keeps them for a backward
pass keeps the copies too, so training takes shares on several devices (`distill.training.sharding`) in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import nn

from distill.errors import InvalidConfig
from distill.layers.blocks import CONTAINERS

PART = 0.5
"""Of a device's free memory: networks up to it go there whole (**our choice**: the rest is for activations)."""
MARK = "_rest"
ELSEWHERE = re.compile("on the (same|expected) device")
"""What torch says of weights that are not where the input is."""

Network = TypeVar("Network", bound=nn.Module)
Room = Callable[[torch.device], int | None]


def room_of(device: torch.device) -> int | None:
    """Free bytes of a device with memory of its own; None: networks go there whole."""
    if device.type != "cuda":
        return None
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


_active = False
_room: Room = room_of


@contextmanager
def offloading(asked: bool = True, room: Room | None = None) -> Iterator[None]:
    """Inside, `put` leaves blocks in the host's memory where a network takes more than `PART` of a device's `room`, if
    `asked` here or around it. Raises `InvalidConfig` where such a network uses weights of a block without calling
    it."""
    global _active, _room
    before = _active, _room
    _active, _room = _active or asked, room or _room
    try:
        yield
    except RuntimeError as error:
        if not _active or not ELSEWHERE.search(str(error)):
            raise
        raise InvalidConfig(
            "A network takes weights of a block without calling it, so that they cannot rest in the host's memory.",
            "Choose another student, teacher or recipe, or leave resources.sharding out.",
            {"field": "sharding"},
        ) from error
    finally:
        _active, _room = before


def put(network: Network, device: torch.device) -> Network:
    """The network where it runs: on the device, or within `offloading` block by block, if it is large. What rests
    already goes on resting."""
    room = _room(device) if _active else None
    if room is not None and _resident_bytes(network) > PART * room:
        own = {id(p) for part in _awake(network, set(blocks(network))) for p in part.parameters(recurse=False)}
        for block in blocks(network):
            if not rests(block):
                _rest(block, device, own)
    if not _active:
        return network.to(device)
    for part in _awake(network):
        part._apply(lambda tensor: tensor.to(device), recurse=False)  # type: ignore[no-untyped-call]
    return network


def take_back(network: Network) -> Network:
    """The whole network on the CPU, as if it had never been put elsewhere."""
    return wake(network).cpu()


def wake(network: Network) -> Network:
    """No block of the network rests any more: all of it is where its parameters are."""
    for part in network.modules():
        rest: _Rest | None = part.__dict__.pop(MARK, None)
        if rest is not None:
            del part.forward
            if rest.forward is not None:
                part.forward = rest.forward
    return network


def rests(network: nn.Module) -> bool:
    """Whether blocks of the network lie in the host's memory while they rest."""
    return any(MARK in part.__dict__ for part in network.modules())


def device_of(network: nn.Module) -> torch.device:
    """Where the network wants its inputs: the CPU, of one without parameters."""
    for part in network.modules():
        if MARK in part.__dict__:
            rest: _Rest = part.__dict__[MARK]
            return rest.device
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The outermost elements of the network's containers that have parts of their own: blocks of a transformer,
    residual blocks. Of an element whose own blocks hold at least half of its parameters, as of a stage or of a teacher
    among several, these. An element without parts is left to its network, which may use its weights without calling
    it."""
    for part in network.children():
        if not isinstance(network, CONTAINERS) or isinstance(part, CONTAINERS):
            yield from blocks(part)
        elif any(True for _ in part.children()) and (size := _size(part)):
            within = list(blocks(part))
            yield from within if 2 * sum(map(_size, within)) >= size else [part]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _awake(module: nn.Module, without: set[nn.Module] | None = None) -> Iterator[nn.Module]:
    """The module and what it consists of, without blocks that rest and without others."""
    if MARK in module.__dict__ or (without and module in without):
        return
    yield module
    for part in module.children():
        yield from _awake(part, without)


def _resident_bytes(network: nn.Module) -> int:
    """What the network's parameters that do not rest take."""
    found = {id(p): p for part in _awake(network) for p in part.parameters(recurse=False)}
    return sum(p.numel() * p.element_size() for p in found.values())


@dataclass(frozen=True)
class _Rest:
    """How a block rests: `device`, where it runs; `resident`, names of its parameters that belong to others too, and
    stay on the device; `forward`, what it had of its own in the place of its class's."""

    device: torch.device
    resident: frozenset[str]
    forward: Callable[..., Any] | None


def _rest(block: nn.Module, device: torch.device, elsewhere: set[int]) -> None:
    """Leave the block's parameters where they are until it is called, but for those of `elsewhere` (by id). Its buffers
    go to the device."""
    for part in block.modules():
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = buffer.to(device)
    named = block.named_parameters(remove_duplicate=False)
    resident = frozenset(name for name, parameter in named if id(parameter) in elsewhere)
    block.__dict__[MARK] = _Rest(device, resident, block.__dict__.get("forward"))
    block.forward = MethodType(_run, block)  # a copy of the block rests as it does


def _run(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """The block's own forward pass, with copies of its parameters on the device."""
    rest: _Rest = block.__dict__[MARK]
    forward = rest.forward or MethodType(type(block).forward, block)
    resting = [
        (block.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], parameter)
        for name, parameter in block.named_parameters(remove_duplicate=False)
        if name not in rest.resident
    ]
    copies = {id(each): each.to(rest.device, non_blocking=True) for _, _, each in resting}
    for part, name, parameter in resting:
        part._parameters[name] = copies[id(parameter)]  # type: ignore[assignment]  # gradients reach what it copies
    try:
        return forward(*args, **kwargs)
    finally:
        for part, name, parameter in resting:
            part._parameters[name] = parameter
