"""Find a model's generalised layers (docs/methods.md, section 1) from its module tree and one traced forward pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from distill.errors import LayersNotFound
from distill.layers.blocks import find_blocks, is_container, weighted_calls
from distill.layers.names import INPUT, parse, resolve
from distill.layers.trace import ACTIVATIONS, BOUNDED, Call, Identity, trace
from distill.types import Layer

DROPOUTS = nn.modules.dropout._DropoutNd
NAME_THEM = "Name the layers yourself: modules from `model.named_modules()`, in depth order."


class Found(NamedTuple):
    """A layer before it is numbered; `time` orders by execution."""

    time: int
    name: str
    kind: str
    shape: tuple[int, ...]


def discover(model: nn.Module, example_input: Any, names: Iterable[str] | None = None) -> list[Layer]:
    """The generalised layers of `model` in execution order, logits excluded.

    `example_input`: a small batch (tensor, tuple of positional or mapping of keyword arguments), run once in eval
    mode without gradient; modes are put back. `names`: these layers and no others, in execution order.

    * Networks of blocks: `stem` (what enters the first block), every `block` (residual, dense, inception, transformer),
      `activation`s between and after the blocks, and in a convolutional network the `pooled` feature that enters the
      classifier: after the last block or, where activations follow that, if pooling comes after the last of them.
    * Networks that say so of themselves (`last_layer`: our detectors): nothing after that module.
    * Plain networks: every `activation`, and the `flatten`ed feature that enters the first fully connected layer.

    Numbering of docs/methods.md: ResNet-34 0 stem, 1-16 blocks, 17 pooled; VGG-19 0-15, 16 flatten, 17-18;
    MobileNetV2 0 stem, 1-17 blocks, 18 last activation, 19 pooled (the published code
    counts its flattened feature, as ResNet-34's); ViT-B 0 patch input, 1-12 blocks. **Our choices**: the stem is what
    enters the first block (after a ResNet's max-pool); token models have no pooled layer.

    Raises `LayersNotFound` when there is none, or when a named one did not run.
    """
    if names is not None:
        wanted = list(dict.fromkeys(names))
        resolve(model, wanted)
        found = _named(trace(model, example_input), wanted)
    else:
        root = trace(model, example_input)
        found = _up_to(_told_last(root, model), _generalised(root, model))
    if not found:
        raise LayersNotFound("No layer that ends in a non-linearity or joins feature maps was found.", NAME_THEM)
    return [
        Layer(name, index, (index + 1) / len(found), kind, shape)
        for index, (_, name, kind, shape) in enumerate(sorted(found))
    ]


def _named(root: Call, names: list[str]) -> list[Found]:
    calls = {call.name: call for call in root.descendants()}
    found = []
    for name in names:
        point = parse(name)
        call = calls.get(name.removesuffix(INPUT))
        shape = None if call is None else call.source_shape if point.is_input else call.shape
        if call is None or shape is None:
            raise LayersNotFound(
                f"Module {name!r} did not run in the forward pass, or gives no tensor of one row a sample.",
                NAME_THEM,
                {"name": name},
            )
        found.append(Found(call.start if point.is_input else call.end, name, "named", shape))
    return found


def _generalised(root: Call, model: nn.Module) -> list[Found]:
    blocks = _without_logits(root, find_blocks(root, model))
    classifier = None if _headless(model) else _classifier(root, blocks)
    end = classifier.start if classifier else 2**62
    if not blocks:
        return _plain(root, _activations(root, [], 0, end))
    found = [Found(b.end, b.name, "block", b.shape) for b in blocks if b.shape is not None and b.end < end]
    activations = _activations(root, blocks, blocks[0].end, end)
    found += activations + _stem(root, blocks[0])
    last = max(found, key=lambda layer: layer.time)
    if len(blocks[-1].shape or ()) >= 3 and (last.kind == "block" or _pools(root, last.time, classifier)):
        if classifier:
            found += _entering(root, classifier, "pooled", blocks[-1])
        elif _headless(model):
            found += _leaving(root, blocks[-1])
    return found


def _told_last(root: Call, model: nn.Module) -> Call | None:
    """A network of ours may say of itself, as `last_layer`, after which module its head begins."""
    name = getattr(model, "last_layer", None)
    return next((call for call in root.descendants() if call.name == name), None)


def _up_to(last: Call | None, found: list[Found]) -> list[Found]:
    """The layers up to the told last one, which is one of them."""
    if last is None:
        return found
    before = [layer for layer in found if layer.time < last.end and layer.name != last.name]
    return [*before, Found(last.end, last.name, "block", last.shape or ())]


def _headless(model: nn.Module) -> bool:
    """Is the output a feature, and not logits? timm's networks say so of themselves."""
    return getattr(model, "num_classes", None) == 0


def _pools(root: Call, after: int, classifier: Call | None) -> bool:
    """Is a map averaged over its positions between this time and the classifier, which then sees none? LR-ASPP averages
    a branch to weigh the map with it, and classifies every position."""
    if classifier is None or any(side != 1 for side in (classifier.source_shape or ())[1:]):
        return False
    calls = [root, *root.descendants()]
    return any(after < time < classifier.start for call in calls for time in call.poolings)


def _without_logits(root: Call, blocks: list[Call]) -> list[Call]:
    """A head that adds two classifiers (distilled transformers, LR-ASPP) or joins levels (SegFormer) is no block."""
    return blocks[:-1] if blocks and _are_logits(root, blocks[-1].shape) and _ends(root, blocks[-1]) else blocks


def _are_logits(root: Call, shape: tuple[int, ...] | None) -> bool:
    """Whether a feature of this shape, the last that weights make, has the classes of the model's output, whose map may
    be a larger one."""
    if root.shape is None or shape is None:
        return False
    if len(root.shape) == 1:
        return shape == root.shape
    return len(root.shape) == len(shape) == 3 and shape[0] == root.shape[0]


def _ends(root: Call, block: Call) -> bool:
    """Does no weighted layer come after the block?"""
    return not any(call.start > block.end for call in weighted_calls(root))


def _classifier(root: Call, blocks: list[Call]) -> Call | None:
    """The last weighted layer, where it comes after the blocks: its output, and all after it, are logits."""
    last = max(weighted_calls(root), key=lambda call: call.start, default=None)
    inside = last is not None and any(block.start <= last.start < block.end for block in blocks)
    return None if inside else last


def _activations(root: Call, blocks: list[Call], after: int, before: int) -> list[Found]:
    """Calls that end in a non-linearity, outside of blocks, as the outermost module with that output."""
    ends = [c for c in root.descendants() if after < c.end < before and _is_activation(c)]
    ends = [c for c in ends if not any(b.start <= c.start < b.end for b in blocks)]
    ends = [c for c in ends if not any(d in ends for d in c.descendants())]
    found = {}
    for call in ends:
        top = _outermost(call, [*ends, *blocks])
        found[top.name] = Found(top.end, top.name, "activation", top.shape or ())
    return list(found.values())


def _is_activation(call: Call) -> bool:
    """Is the last thing that this call does itself a non-linearity? Bounded ones (sigmoid, tanh) count as leaf modules
    that are no gates, that is, in a parent that does not multiply; a leaf without weights may be a hand-written one."""
    if call.shape is None or call.closes_with_child or not call.ops:
        return False
    if call.ops[-1] in ACTIVATIONS - BOUNDED:
        return True
    is_leaf = not call.children and not any(True for _ in call.module.parameters())
    user = next((ancestor for ancestor in call.ancestors if not is_container(ancestor)), None)
    is_gate = call.ops[-1] in BOUNDED and user is not None and "mul" in user.ops
    return is_leaf and bool(BOUNDED & set(call.ops)) and not is_gate


def _outermost(call: Call, others: list[Call], before: int = 2**62) -> Call:
    """The largest enclosing call that returns the same tensor, has ended at `before` and holds no other layer."""
    top = call
    for ancestor in call.ancestors:
        same = ancestor.parent is not None and _same(ancestor.result, call.result) and ancestor.end < before
        if not same or any(c in others and c is not call for c in ancestor.descendants()):
            break
        top = ancestor
    return top


def _same(left: Identity | None, right: Identity | None) -> bool:
    return left is not None and left == right


def _stem(root: Call, first: Call) -> list[Found]:
    """What enters the first block, unless that is the model's own input."""
    if first.source is None or _same(first.source, root.source):
        return []
    return _entering(root, first, "stem", None)


def _entering(root: Call, call: Call, kind: str, last_block: Call | None) -> list[Found]:
    """The layer whose output enters `call`; `call:input` where no module made it; none where the last block did."""
    if last_block is not None and _same(call.source, last_block.result):
        return []
    before = [c for c in root.descendants() if c.end and c.end < call.start and _same(c.result, call.source)]
    if not before:
        return [Found(call.start, call.name + INPUT, kind, call.source_shape or ())]
    maker = min(before, key=lambda c: c.end)
    if isinstance(maker.module, DROPOUTS) and kind != "stem":
        return _entering(root, maker, kind, last_block)  # what a student in training mode should match is not dropped
    maker = _outermost(maker, [], call.start)  # a backbone that gives all its levels ends after them
    return [Found(maker.end, maker.name, kind, maker.shape or ())]


def _leaving(root: Call, last_block: Call) -> list[Found]:
    """The last layer of a network without a classifier: the module that made the network's output, which a classifier
    would read."""
    if last_block.result is None or _same(root.result, last_block.result):
        return []
    before = [c for c in root.descendants() if c.end > last_block.end and _same(c.result, root.result)]
    if not before:
        return []
    maker = min((c for c in before if not isinstance(c.module, DROPOUTS)), key=lambda c: c.end, default=before[0])
    maker = _outermost(maker, [])
    return [Found(maker.end, maker.name, "pooled", maker.shape or ())]


def _plain(root: Call, activations: list[Found]) -> list[Found]:
    """Every activation, and between the maps and the vectors the feature that the first dense layer sees."""
    spatial = [a for a in activations if len(a.shape) >= 2]
    dense = [c for c in weighted_calls(root) if spatial and c.start > spatial[0].time and _is_dense(c)]
    if not dense:
        return activations
    flatten = _entering(root, dense[0], "flatten", None)
    return activations + [f for f in flatten if f.name not in {a.name for a in activations}]


def _is_dense(call: Call) -> bool:
    """A linear map, or a convolution that sees its whole input at once."""
    if isinstance(call.module, nn.Linear):
        return True
    kernel, padding = getattr(call.module, "kernel_size", ()), getattr(call.module, "padding", ())
    extent = (call.source_shape or ())[1:]
    covers = bool(extent) and all(k >= e for k, e in zip(kernel, extent, strict=False))
    return covers and max(kernel, default=1) > 1 and not any(padding)
