"""Which calls of a trace are blocks: residual, dense, inception and transformer blocks, by structure and not by name.

A module is a *joining* module when its own forward adds or concatenates feature maps. Every call of a joining class
is a block (also those of its calls that have no shortcut), except stages: joining modules that hold a chain of
joining blocks. Where the joins of a repeated element sit one level deeper (a Hugging Face layer: attention output,
then feed-forward output), the element is the block. Elements of the same chain of containers that hold at least two
weighted layers are blocks too (the first block of a MobileNetV2, which has no shortcut in any instance). Without any
join, elements of which there are three or more with two weighted layers each are blocks (depthwise-separable networks).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from distill.layers.trace import Call

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
    elements = Counter(type(child) for m in model.modules() if isinstance(m, CONTAINERS) for child in m.children())
    search = _Search(joining, elements, dict(model.named_modules()))
    return _with_siblings(list(search.blocks(root)) or list(search.repeated(root)))


def _joins(call: Call) -> bool:
    return ("add" in call.ops or "cat" in call.ops) and call.parent is not None and _weighted(call)


def _weighted(call: Call) -> bool:
    return any(True for _ in call.module.parameters())


@dataclass(frozen=True)
class _Search:
    """`joining` classes, how often each class is an `element` of a container, and the modules by path."""

    joining: set[type[nn.Module]]
    elements: Counter[type[nn.Module]]
    modules: dict[str, nn.Module]

    def blocks(self, call: Call) -> Iterator[Call]:
        """Outermost joining calls that are no stages, and repeated elements whose parts join."""
        for child in call.children:
            if not _weighted(child):
                continue
            inner = list(self.blocks(child))
            joins = type(child.module) in self.joining and not self._chains(child, inner, "add")
            if child.shape is not None and (joins or self._is_element(child, inner)):
                yield child
            else:
                yield from inner

    def repeated(self, call: Call) -> Iterator[Call]:
        """Elements of a class that containers hold three or more of, with two weighted layers or more each."""
        for child in call.children:
            often = self.elements[type(child.module)] >= 3 and not is_container(child)
            if often and child.shape is not None and len(weighted_calls(child)) >= 2:
                yield child
            else:
                yield from self.repeated(child)

    def _chains(self, call: Call, inner: list[Call], join: str = "") -> bool:
        """Does a container inside `call` hold two or more blocks of one class: is it a stage and not a block?"""
        held = [b for b in inner if self._in_container(call, b) and (not join or join in b.ops)]
        return any(count >= 2 for count in Counter(type(b.module) for b in held).values())

    def _in_container(self, call: Call, block: Call) -> bool:
        """Is there a container on the path from `call` down to `block`?"""
        parts, depth = path_of(block).split("."), len(path_of(call).split(".")) if path_of(call) else 0
        between = (".".join(parts[:i]) for i in range(depth, len(parts)))
        return any(isinstance(self.modules.get(path), CONTAINERS) for path in between)

    def _is_element(self, call: Call, inner: list[Call]) -> bool:
        """Is `call` one of several like it in containers, and are the joins inside it its own parts?"""
        holder = self.modules.get(path_of(call).rpartition(".")[0])
        if not inner or is_container(call) or not isinstance(holder, CONTAINERS):
            return False
        alone = len(inner) == 1 and self._in_container(call, inner[0])
        return self.elements[type(call.module)] >= 2 and not alone and not self._chains(call, inner)


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
