"""Structured pruning: which blocks of a network stay (`distill.models.block_pruning`), and which channels: those that
go together are found by torch-pruning's dependency graph (Fang et al. 2023, "DepGraph", arXiv:2301.12900).

Widths depend on the architecture alone: of n channels of a hidden layer floor((1 - ratio) n) stay, rounded down to a
multiple of `round_to`, and at least that many; a grouped convolution's groups lose equally many. Layers that cannot
lose a channel by themselves are left whole: what carries a residual stream past a zero-padded shortcut, or past a class
token; and those of whose coupled layers it depends on the channels chosen how many each loses.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import gcd
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.models.block_pruning import kept_blocks
from distill.models.build import pin, skeleton
from distill.models.fewer_blocks import copied_without
from distill.models.names import is_dense, resolve
from distill.models.sizes import FORWARD_ERRORS
from distill.models.widths import narrow, widths_between
from distill.pruned import BLOCKS, RATIO, ROUND_TO, ROUNDED, SHARE, WIDTHS, rounded_down, split, whole_in_width
from distill.types import Architecture, Importance

Size = tuple[int, int]
_PROBES = (7, 11)  # numbers of classes, by which the classifier's layers are known
_ROOTS = (nn.Conv2d, nn.Linear)
_FAILURES = (*FORWARD_ERRORS, KeyError, AttributeError, NotImplementedError)


def settled(architecture: Architecture, in_channels: int, size: Size) -> Architecture:
    """With what its `prune_blocks` and `prune_ratio` mean among the options (`distill.pruned.BLOCKS`, `WIDTHS`): so it
    is built again without the dependency graph. `size`: (h, w) of the input. Raises `InvalidConfig` for a network that
    cannot be pruned, or not by that share."""
    options = architecture.options
    if SHARE in options and BLOCKS not in options:
        own = architecture.model_copy(update={"options": split(options)[0]})
        stay = _blocks(own.model_dump_json(), float(options[SHARE]), in_channels, size)  # type: ignore[arg-type]
        options = options | {BLOCKS: json.loads(stay)}
        architecture = architecture.model_copy(update={"options": options})
    if RATIO not in options or WIDTHS in options:
        return architecture
    whole, ratio, round_to = whole_in_width(architecture), float(options[RATIO]), int(options.get(ROUND_TO, ROUNDED))  # type: ignore[arg-type]
    found = _widths(whole.model_dump_json(), ratio, round_to, in_channels, size)
    return architecture.model_copy(update={"options": options | {WIDTHS: json.loads(found)}})


def cut(source: nn.Module, architecture: Architecture, importance: Importance, example: Tensor) -> nn.Module:
    """A copy of `source`, a network of the settled `architecture` before it is pruned, with the blocks that stay, and
    the most important channels of every layer. `example`: an input. Deterministic in all arguments.

    Importance of channel c, over the tensors w of all layers that lose it together: `magnitude`: the mean of
    ||w[c]||_2, each layer's divided by their mean over c; `bn_scale`: the mean of |gamma[c]| of the batch norms (Liu et
    al. 2017, arXiv:1708.06519). Raises `InvalidConfig` for `bn_scale` without batch norms, for another network, and for
    one whose weights lead to other widths than the settled ones."""
    options = architecture.options
    source = copied_without(source, options.get(BLOCKS, {})).eval()  # type: ignore[arg-type]
    if RATIO not in options:
        return source
    whole = whole_in_width(architecture)
    kept = _whole_layers(whole.model_dump_json(), example.shape[1], (example.shape[2], example.shape[3]))
    if importance == "bn_scale" and not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in source.modules()):
        message = f"{architecture.name} has no batch norms whose scales could say which channels stay."
        raise InvalidConfig(message, "Use the importance magnitude.", {"field": "student", "importance": importance})
    measure = tp.importance.BNScaleImportance() if importance == "bn_scale" else _Magnitude()
    network = copy.deepcopy(source)
    _prune(network, example, float(options[RATIO]), int(options.get(ROUND_TO, ROUNDED)), kept, measure)  # type: ignore[arg-type]
    if widths_between(source, network) != options[WIDTHS]:
        raise _refused(architecture, "its weights, and not its architecture alone, decide how wide its layers become")
    return network


@cache
def _blocks(own: str, share: float, channels: int, size: Size) -> str:
    """The blocks that stay, as JSON. `own`: the architecture without any option of pruning."""
    architecture = Architecture.model_validate_json(own)
    if is_dense(resolve(architecture.name)):
        raise _refused(architecture, "networks that answer for places of an image are not pruned")
    network, example = _meta(architecture, channels, size), _example(channels, size)
    try:
        found = kept_blocks(network, example, share)
        runs = _answers(copied_without(network, found), example) == _answers(network, example)
    except _FAILURES as error:
        raise _refused(architecture, f"its blocks cannot be told: {str(error)[:200]}") from error
    if not runs:
        raise _refused(architecture, "what is left of its blocks does not run")
    if not found:
        raise InvalidConfig(
            f"Leaving out {share:g} of the blocks of {architecture.name} leaves out none: no stage has a block beside "
            "its first that adds to what passes it.",
            "Prune a deeper teacher, remove a larger share, or remove channels (ratio) alone.",
            {"field": "student", SHARE: share},
        )
    return json.dumps(found)


class _InOrder:
    """Importance by number of channel, for networks whose weights have no values: the first stay, or every other."""

    def __init__(self, *, spread: bool = False) -> None:
        self.spread = spread

    def __call__(self, group: Any) -> Tensor:
        number = torch.arange(len(group[0].idxs))
        return (number % 2 if self.spread else -number).float()


_Magnitude = tp.importance.GroupMagnitudeImportance


@cache
def _widths(whole: str, ratio: float, round_to: int, channels: int, size: Size) -> str:
    """As JSON, since a cache's values are shared."""
    architecture = Architecture.model_validate_json(whole)
    kept = _whole_layers(whole, channels, size)
    network = _meta(architecture, channels, size)
    pruned, example = copy.deepcopy(network), _example(channels, size)
    try:
        _prune(pruned, example, ratio, round_to, kept, _InOrder())
        runs = _answers(pruned, example) == _answers(network, example)
        found = widths_between(network, pruned) if runs else {}
        again = runs and _shapes(narrow(copy.deepcopy(network), found)) == _shapes(pruned)
    except _FAILURES as error:
        raise _refused(architecture, str(error)[:200]) from error
    if not again:
        raise _refused(architecture, "what is left of it does not run")
    if not found:
        raise InvalidConfig(
            f"Pruning {ratio:g} of {architecture.name} removes nothing: its layers have too few channels for multiples "
            f"of {round_to}.",
            "Lower round_to.",
            {"field": "student", RATIO: ratio, ROUND_TO: round_to},
        )
    return json.dumps(found)


@cache
def _whole_layers(whole: str, channels: int, size: Size) -> tuple[str, ...]:
    """Paths of the layers that are not cut: the classifier's, and the first of every group without which the network
    does not run. Raises `InvalidConfig` where there is nothing else, or no graph."""
    architecture = Architecture.model_validate_json(whole)
    if is_dense(resolve(architecture.name)):
        raise _refused(architecture, "networks that answer for places of an image are not pruned")
    network, example = _meta(architecture, channels, size), _example(channels, size)
    heads = _heads(architecture, channels, size)
    try:
        if _all_fit(network, example, heads):
            return heads
        groups = _groups(network, example, heads)
        found = [path for path, fits in groups if not fits]
    except _FAILURES as error:
        raise _refused(architecture, _untraced(error)) from error
    if len(found) == len(groups):
        raise _refused(architecture, "no layer can lose a channel by itself")
    return (*heads, *found)


def _untraced(error: Exception) -> str:
    """torch-pruning divides by the ratio of two layers' channels where it takes a reshape for a flattening."""
    if isinstance(error, ZeroDivisionError):
        return "it reshapes its channels, as a channel shuffle does, and the dependency graph does not follow that"
    return f"its graph cannot be traced: {str(error)[:200]}"


def _all_fit(network: nn.Module, example: Tensor, heads: tuple[str, ...]) -> bool:
    """Whether it runs when every group has lost half, and is as wide whichever half that was: of most networks that is
    so, and they need no look at each group."""
    wanted, found = _answers(network, example), []
    for spread in (False, True):
        pruned = copy.deepcopy(network)
        try:
            _prune(pruned, example, 0.5, 1, heads, _InOrder(spread=spread))
            if _answers(pruned, example) != wanted:
                return False
        except _FAILURES:
            return False
        found.append(_shapes(pruned))
    return found[0] == found[1]


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _groups(network: nn.Module, example: Tensor, heads: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Of each group of coupled layers its first layer's path, and whether the network runs without half of it."""
    modules, wanted = dict(network.named_modules()), _answers(network, example)
    graph = _graph(network, example)
    paths = {module: path for path, module in modules.items()}
    ignored, attention = [modules[path] for path in heads], {m.qkv: m for m in _attentions(network)}
    found = []
    for group in graph.get_all_groups(ignored_layers=ignored, root_module_types=_ROOTS):
        root, prune = group[0].dep.target.module, group[0].dep.handler
        if not isinstance(root, nn.Module):
            continue
        if root in attention:
            found.append((paths[root], True))  # by whole heads, which `_prune` sees to
            continue
        found.append((paths[root], _fits(graph, network, example, (root, prune, len(group[0].idxs)), wanted)))
    return found


def _fits(graph: Any, network: nn.Module, example: Tensor, root: tuple[Any, Any, int], wanted: Any) -> bool:
    layer, prune, channels = root
    if channels < 2:
        return False
    found = []
    for lost in (range(channels // 2), range(0, 2 * (channels // 2), 2)):
        group = graph.get_pruning_group(layer, prune, list(lost))
        members = [dep.target.module for dep, _ in group]
        if any(isinstance(member, nn.Parameter) for member in members):
            return False
        with _restored([member for member in members if isinstance(member, nn.Module)]):
            try:
                group.prune()
                if _answers(network, example) != wanted:
                    return False
                found.append(_shapes(network))
            except _FAILURES:
                return False
    return found[0] == found[1]


@contextmanager
def _restored(modules: list[nn.Module]) -> Iterator[None]:
    before = [(m, dict(vars(m)), dict(m._parameters), dict(m._buffers)) for m in modules]
    try:
        yield
    finally:
        for module, own, parameters, buffers in before:
            vars(module).update(own)
            module._parameters.clear()
            module._parameters.update(parameters)
            module._buffers.clear()
            module._buffers.update(buffers)


def _prune(
    network: nn.Module, example: Tensor, ratio: float, round_to: int, kept: tuple[str, ...], importance: Any
) -> None:
    modules = dict(network.named_modules())
    ignored = [layer for path in kept for layer in modules[path].modules()]
    attentions = _attentions(network)
    heads = {each.qkv: each.num_heads for each in attentions}
    with _quiet():
        graph = _graph(network, example)
        lost = list[tuple[Any, list[int]]]()  # all of it before anything is cut, which changes the importance of others
        with torch.no_grad():
            for group in graph.get_all_groups(ignored_layers=ignored, root_module_types=list(_ROOTS)):
                rooted, blocks = _by_heads(graph, group, heads)
                if rooted is not None:
                    lost.append((rooted[0].dep, _least(graph, rooted, importance(rooted), ratio, round_to, blocks)))
        for dep, channels in lost:
            group = graph.get_pruning_group(dep.target.module, dep.handler, channels)
            if channels and graph.check_pruning_group(group):
                group.prune()
    for each in attentions:
        each.num_heads = each.qkv.out_features // (3 * each.head_dim)
        each.attn_dim = each.num_heads * each.head_dim


def _by_heads(graph: Any, group: Any, heads: dict[nn.Module, int]) -> tuple[Any, int]:
    """The group and 0. Of one with queries, keys and values: the same from the layer that reads the heads, where they
    lie one after another, with their number; None where nothing reads them."""
    found = next(
        (heads[dep.target.module] for dep, _ in group if dep.target.module in heads and _is_out(graph, dep)), 0
    )
    if not found:
        return group, 0
    readers = [(dep, idxs) for dep, idxs in group if isinstance(dep.target.module, _ROOTS) and not _is_out(graph, dep)]
    if not readers:
        return None, 0
    dep, idxs = readers[-1]
    return graph.get_pruning_group(dep.target.module, dep.handler, idxs), found


def _is_out(graph: Any, dep: Any) -> bool:
    return bool(graph.is_out_channel_pruning_fn(dep.handler))


def _least(graph: Any, group: Any, importance: Tensor, ratio: float, round_to: int, heads: int) -> list[int]:
    """The channels that a group loses, of its first layer."""
    channels = torch.arange(len(importance))
    if heads:  # whole ones
        blocks, step = channels.view(heads, -1), 1
        scores = importance.view(heads, -1).mean(1)
    else:  # one of each group of a convolution or norm together
        folds = max((_folds(graph, dep) for dep, _ in group), default=1)
        blocks, step = channels.view(folds, -1).T, round_to // gcd(round_to, folds)
        scores = importance.view(folds, -1).mean(0)
    stay = rounded_down(len(scores) * (1 - ratio))
    stay = max(stay - stay % step, step)
    lost = torch.argsort(scores.cpu(), stable=True)[: max(0, len(scores) - stay)]
    found: list[int] = blocks[lost].flatten().sort().values.tolist()
    return found


def _folds(graph: Any, dep: Any) -> int:
    """Groups of channels of a layer, each of which loses equally many; 1 of a depthwise convolution."""
    layer = dep.target.module
    pruner = graph.get_pruner_of_module(layer)
    if pruner is None or (isinstance(layer, nn.modules.conv._ConvNd) and layer.groups == layer.out_channels):
        return 1
    count = pruner.get_out_channel_groups if _is_out(graph, dep) else pruner.get_in_channel_groups
    return int(count(layer))


def _attentions(network: nn.Module) -> list[Any]:
    """timm's attention modules with one layer for queries, keys and values, whose heads can be fewer."""
    return [
        module
        for module in network.modules()
        if isinstance(getattr(module, "qkv", None), nn.Linear) and hasattr(module, "attn_dim")
    ]


def _graph(network: nn.Module, example: Tensor) -> Any:
    with _quiet(), torch.enable_grad():
        return tp.DependencyGraph().build_dependency(network, example_inputs=example)


def _meta(architecture: Architecture, channels: int, size: Size, classes: int = _PROBES[0]) -> nn.Module:
    return skeleton(pin(architecture, size), classes, channels, size).to("meta").eval()


def _example(channels: int, size: Size) -> Tensor:
    return torch.zeros(1, channels, *size, device="meta")


@torch.no_grad()
def _answers(network: nn.Module, example: Tensor) -> Any:
    found = network(example)
    found = getattr(found, "logits", found)
    return found.shape if isinstance(found, Tensor) else None


def _heads(architecture: Architecture, channels: int, size: Size) -> tuple[str, ...]:
    """Paths of the layers whose shapes follow the number of classes."""
    one, other = (_meta(architecture, channels, size, classes).state_dict() for classes in _PROBES)
    names = [name for name, tensor in one.items() if other[name].shape != tensor.shape]
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in names))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refused(architecture: Architecture, why: str) -> InvalidConfig:
    return InvalidConfig(
        f"{architecture.name} cannot be pruned: {why}.",
        "Name a student, or prune another teacher; docs/models.md says which networks are pruned.",
        {"field": "student", "architecture": architecture.name},
    )
