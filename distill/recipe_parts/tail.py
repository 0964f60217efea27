"""The rest of a network from one layer on, fed with a feature from elsewhere; gradient flows back to that feature."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.layers import capture
from distill.layers.forward import batch_size, feature_of, replace_tensors, tensors, to_device
from distill.layers.modes import clear_caches, evaluating
from distill.layers.names import Point, parse
from distill.recipe_parts.networks import beside, run_logits

Step = Callable[[Callable[..., Any], Any, Any, Tensor], Any]  # (original forward, args, kwargs, feature) -> output


class Tail:
    """`tail(feature)` = logits of `network` as if `layer` had given `feature` (n, *layer shape).

    The part before the layer is not computed: one traced forward finds the outermost module calls that end before
    the layer, and a shadow of the network, which shares every parameter and buffer, answers those calls with zeros of
    the right shape. So a tail costs what stands after the layer, plus the gradient to the feature; it needs neither
    the network's input nor torch.fx. Zeros are right only if nothing passes the layer by, so the constructor compares
    the tail with the network on two samples of `example` and raises `InvalidConfig` where they differ (inside a
    dense block, say). The network is not changed; it must be frozen and is run in eval mode.

    Networks of sequences (the example is a mapping) get each batch's own `inputs`, so that the attention mask and the
    positions are the batch's: only the blocks before the layer, elements of a ModuleList, are skipped there, and hand
    on what enters them; embeddings and what prepares positions run.
    """

    def __init__(self, network: nn.Module, layer: str, example: Any) -> None:
        example = beside(network, example)
        self._example = replace_tensors(example, lambda t: t[:1].clone() if t.dim() else t)
        self._shadow = shadow(network)
        self._modules = dict(self._shadow.named_modules())
        self._plan = _plan(self._shadow, parse(layer), example, sequences=isinstance(example, Mapping))
        self._feature: Tensor | None = None
        self._counts: dict[str, int] = {}
        for path in self._plan:
            self._override(path)
        self._verify(network, layer, example)
        clear_caches(self._shadow)

    @property
    def network(self) -> nn.Module:
        """The shadow that runs."""
        return self._shadow

    def answers(self, module: nn.Module) -> bool:
        """Is this a module of the shadow whose every call is answered without computing?"""
        path = next((path for path in self._plan if self._modules[path] is module), None)
        return path is not None and all(getattr(step, "func", step) is _answer for step in self._plan[path])

    def __call__(self, feature: Tensor, inputs: Any = None) -> Tensor:
        """(n, C) logits. `inputs`: the batch that `feature` came from, for networks of sequences only."""
        self._feature, self._counts = feature, dict.fromkeys(self._plan, 0)
        try:
            return run_logits(self._shadow, self._stretched(feature) if inputs is None else inputs)
        finally:
            self._feature = None

    def _stretched(self, feature: Tensor) -> Any:
        self._example = to_device(self._example, feature.device)  # once; a copy per step would wait for the device
        return replace_tensors(self._example, partial(_stretch, feature=feature))

    def _override(self, path: str) -> None:
        """The shadow module's first calls follow the plan, later ones its own forward."""
        module = self._modules[path]
        module.forward = _Answering(self, path, module.forward)

    def answer(self, path: str, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What the module at `path` gives for its next call."""
        steps, call = self._plan[path], self._counts[path]
        self._counts[path] += 1
        assert self._feature is not None
        return steps[call](original, args, kwargs, self._feature) if call < len(steps) else original(*args, **kwargs)

    @torch.no_grad()
    def _verify(self, network: nn.Module, layer: str, example: Any) -> None:
        with evaluating(network), capture(network, [layer]) as features:
            expected = run_logits(network, example)
        try:
            got = self(features[layer], example if isinstance(example, Mapping) else None)
        except NotImplementedError:  # an operation that the meta device has not says nothing of the layer
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise _bypassed(layer, f"it fails: {error}") from error
        if got.is_meta:
            if _reads_more(network, layer, example):
                raise _bypassed(layer, "its logits depend on more than this layer")
            return
        scale = expected.float().abs().max().clamp(min=1e-6)
        if not torch.allclose(got.float() / scale, expected.float() / scale, atol=1e-3, equal_nan=True):
            raise _bypassed(layer, "its logits depend on more than this layer")


def _reads_more(network: nn.Module, layer: str, example: Any) -> bool:
    """Whether the logits depend on the input by another way than through the layer: where no values tell."""
    inputs = replace_tensors(example, lambda tensor: tensor.detach().requires_grad_(tensor.is_floating_point()))
    with evaluating(network), torch.enable_grad(), capture(network, [layer], detach_at=layer):
        logits = run_logits(network, inputs)
    return logits.requires_grad


class _Answering:
    """A module's `forward` in the shadow; an object and no closure, so that a copy of the tail asks the copy."""

    def __init__(self, tail: Tail, path: str, original: Callable[..., Any]) -> None:
        self.tail, self.path, self.original = tail, path, original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tail.answer(self.path, self.original, args, kwargs)


def _bypassed(layer: str, why: str) -> InvalidConfig:
    return InvalidConfig(
        f"The teacher cannot be run from layer {layer!r} on: {why}.",
        "Choose layers that everything passes: the ends of stages, not layers inside a dense block.",
        {"layer": layer},
    )


def _stretch(tensor: Tensor, feature: Tensor) -> Tensor:
    """One example sample repeated to the feature's batch; scalars stay."""
    return tensor.expand(feature.shape[0], *tensor.shape[1:]) if tensor.dim() else tensor


def shadow(network: nn.Module) -> nn.Module:
    """A copy of the module tree whose modules share the originals' parameter and buffer tables, so that a later
    `.to()` of the network moves the shadow too."""
    tables = [t for m in network.modules() for t in (m._parameters, m._buffers)]
    return copy.deepcopy(network, {id(t): t for t in tables}).eval()


@dataclass
class _Frame:
    """One open module call: the calls inside it that have ended, as (path, step)."""

    path: str
    call: int
    done: list[tuple[str, Step]] = field(default_factory=list)


class _Found(BaseException):
    """Ends the traced forward at the layer; never leaves `_plan`."""


class _Tracer:
    """Follows one forward pass up to the layer. `blocks`: paths of the modules that are skipped in a network of
    sequences, None for other networks, where all are."""

    def __init__(self, point: Point, batch: int | None, blocks: frozenset[str] | None) -> None:
        self.point, self.batch, self.blocks = point, batch, blocks
        self.stack: list[_Frame] = []
        self.calls: dict[str, int] = {}
        self.plan: dict[str, list[Step]] = {}

    def start(self, path: str, args: Any, kwargs: Any) -> None:
        self.calls[path] = self.calls.get(path, 0) + 1
        self.stack.append(_Frame(path, self.calls[path]))
        if self._here(path, True):
            target = feature_of((args, kwargs), self.batch)
            self.stack.pop()
            self._finish(path, partial(_feed, index=_index((args, kwargs), target)))

    def end(self, path: str, output: Any) -> None:
        here = self._here(path, False)
        self.stack.pop()
        if here:
            target = feature_of(output, self.batch)
            self._finish(path, partial(_answer, skeleton=_Skeleton(output, self.batch, target)))
        if self.stack:
            self.stack[-1].done.append((path, self._skip(path, output)))

    def _skip(self, path: str, output: Any) -> Step:
        """What a module that ended before the layer does instead."""
        if self.blocks is None:
            return partial(_answer, skeleton=_Skeleton(output, self.batch, None))
        if path not in self.blocks:
            return _itself
        target = feature_of(output, self.batch)
        return partial(_hand_on, skeleton=_Skeleton(output, self.batch, target))

    def _here(self, path: str, is_input: bool) -> bool:
        frame, point = self.stack[-1], self.point
        return (path, frame.call, is_input) == (point.path, point.call, point.is_input)

    def _finish(self, path: str, step: Step) -> None:
        for frame in self.stack:
            for done, zeros in frame.done:
                self.plan.setdefault(done, []).append(zeros)
        self.plan.setdefault(path, []).append(step)
        raise _Found


@torch.no_grad()
def _plan(network: nn.Module, point: Point, example: Any, sequences: bool) -> dict[str, list[Step]]:
    """Module path -> what its first calls answer instead of computing."""
    tracer = _Tracer(point, batch_size(example), _elements(network) if sequences else None)
    with _hooks(network, tracer):
        try:
            run_logits(network, example)
        except _Found:
            return tracer.plan
    raise _bypassed(point.name, "the layer did not run")


def _elements(network: nn.Module) -> frozenset[str]:
    """Paths of everything that a ModuleList holds."""
    lists = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.ModuleList)]
    return frozenset(f"{path}.{name}" for path, module in lists for name, _ in module.named_children())


@contextmanager
def _hooks(network: nn.Module, tracer: _Tracer) -> Iterator[None]:
    handles = []
    for path, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(_pre(tracer, path), with_kwargs=True))
        handles.append(module.register_forward_hook(_post(tracer, path)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _pre(tracer: _Tracer, path: str) -> Callable[[nn.Module, Any, Any], None]:
    return lambda _, args, kwargs: tracer.start(path, args, kwargs)


def _post(tracer: _Tracer, path: str) -> Callable[[nn.Module, Any, Any], None]:
    return lambda _, __, output: tracer.end(path, output)


class _Skeleton:
    """A module's output without its values: zeros of the same shape for another batch, the feature in its place."""

    def __init__(self, output: Any, batch: int | None, target: Tensor | None) -> None:
        self.batch, self.index = batch or 1, _index(output, target)
        self.output = replace_tensors(output, lambda t: torch.empty_like(t, device="meta"))

    def fill(self, feature: Tensor) -> Any:
        return _replace(self.output, self.index, feature, partial(self._zeros, feature=feature))

    def _zeros(self, tensor: Tensor, feature: Tensor) -> Tensor:
        shape = list(tensor.shape)
        if shape and shape[0] % self.batch == 0:  # windows and heads fold into the batch axis: a multiple of it
            shape[0] = shape[0] // self.batch * feature.shape[0]
        return torch.zeros(shape, dtype=tensor.dtype, device=feature.device)


def _answer(original: Any, args: Any, kwargs: Any, feature: Tensor, skeleton: _Skeleton) -> Any:
    return skeleton.fill(feature)


def _itself(original: Any, args: Any, kwargs: Any, feature: Tensor) -> Any:
    return original(*args, **kwargs)


def _hand_on(original: Any, args: Any, kwargs: Any, feature: Tensor, skeleton: _Skeleton) -> Any:
    """A skipped block gives its input as its output, in the form that its output would have. Later layers use the
    shape alone, never the values."""
    entered = feature_of((args, kwargs), feature.shape[0])
    assert entered is not None
    return skeleton.fill(entered)


def _feed(original: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], feature: Tensor, index: int) -> Any:
    args, kwargs = _replace((args, kwargs), index, feature, lambda t: t)
    return original(*args, **kwargs)


def _index(value: Any, target: Tensor | None) -> int:
    """Which of the nested tensors `target` is; -1: none."""
    seen = list(tensors(value))
    return next((i for i, t in enumerate(seen) if t is target), -1)


def _replace(value: Any, index: int, feature: Tensor, change: Callable[[Tensor], Tensor]) -> Any:
    """`feature` for the nested tensor at `index`, `change` of every other."""
    count = iter(range(2**31))
    return replace_tensors(value, lambda t: feature if next(count) == index else change(t))
