"""Which calls of a trace are blocks: residual, dense, inception and transformer blocks, by structure and not by name.

A module is a *joining* module when its own forward adds or concatenates feature maps. Every call of a joining class
is a block (also those of its calls that have no shortcut), except stages: joining modules that hold a chain of
joining blocks. Where the joins of a repeated element sit one level deeper (a Hugging Face layer: attention output,
then feed-forward output), the element is the block. Elements of the same chain of containers that hold at least two
weighted layers are blocks too (the first block of a MobileNetV2, which has no shortcut in any instance).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn

from distill.layers._trace import Call

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.MultiheadAttention)


def is_container(call: Call) -> bool:
    """A Sequential (or subclass) that only chains its children."""
    return isinstance(call.module, nn.Sequential) and type(call.module).forward is nn.Sequential.forward


def weighted_calls(call: Call) -> list[Call]:
    """The convolutions and linear maps inside a call, in execution order."""
    return [c for c in (call, *call.descendants()) if isinstance(c.module, WEIGHTED)]


def find_blocks(root: Call, model: nn.Module) -> list[Call]:
    """The blocks of a trace in execution order; none of them contains another."""
    joining = {type(c.module) for c in root.descendants() if _joins(c) and not is_container(c)}
    blocks = list(_search(root, joining, dict(model.named_modules())))
    return _with_siblings(blocks)


def _joins(call: Call) -> bool:
    return ("add" in call.ops or "cat" in call.ops) and call.parent is not None and _weighted(call)


def _weighted(call: Call) -> bool:
    return any(True for _ in call.module.parameters())


def _search(call: Call, joining: set[type[nn.Module]], modules: dict[str, nn.Module]) -> Iterator[Call]:
    for child in call.children:
        if child.parent is None or not _weighted(child):
            continue
        inner = list(_search(child, joining, modules))
        is_join = type(child.module) in joining and child.shape is not None
        if (is_join and not _chained(child, inner, modules, adds_only=True)) or _is_element(child, inner, modules):
            yield child
        else:
            yield from inner


def _chained(call: Call, inner: list[Call], modules: dict[str, nn.Module], adds_only: bool) -> bool:
    """Does a container inside `call` hold two or more blocks of one class: is it a stage and not a block?"""
    held = [b for b in inner if _in_container(call, b, modules) and (not adds_only or "add" in b.ops)]
    return any(count >= 2 for count in Counter(type(b.module) for b in held).values())


def _in_container(call: Call, block: Call, modules: dict[str, nn.Module]) -> bool:
    """Is there a container on the path from `call` down to `block`?"""
    parts, depth = path_of(block).split("."), len(path_of(call).split(".")) if path_of(call) else 0
    between = (".".join(parts[:i]) for i in range(depth, len(parts)))
    return any(isinstance(modules.get(path), CONTAINERS) for path in between)


def _is_element(call: Call, inner: list[Call], modules: dict[str, nn.Module]) -> bool:
    """Is `call` one of several like it in a container, and are the two or more joins inside it its own parts?"""
    holder = modules.get(path_of(call).rpartition(".")[0])
    if len(inner) < 2 or is_container(call) or call.shape is None or not isinstance(holder, CONTAINERS):
        return False
    alike = sum(type(module) is type(call.module) for module in holder.children())
    return alike >= 2 and not _chained(call, inner, modules, adds_only=False)


def path_of(call: Call) -> str:
    return call.name.partition("#")[0]


def _with_siblings(blocks: list[Call]) -> list[Call]:
    """Add the composite elements of the chains that hold the blocks."""
    chains = {id(chain): chain for chain in map(_chain_of, blocks) if chain is not None}
    found = {id(block): block for block in blocks}
    for chain in chains.values():
        for element in _elements(chain):
            nested = any(id(c) in found for c in (*element.descendants(), *element.ancestors))
            if not nested and len(weighted_calls(element)) >= 2 and element.shape is not None:
                found[id(element)] = element
    return sorted(found.values(), key=lambda call: call.end)


def _chain_of(block: Call) -> Call | None:
    """The topmost container that is linked to the block by containers only."""
    top = None
    for ancestor in block.ancestors:
        if not is_container(ancestor):
            break
        top = ancestor
    return top


def _elements(chain: Call) -> Iterator[Call]:
    for child in chain.children:
        if is_container(child):
            yield from _elements(child)
        else:
            yield child
