"""One traced forward pass: which modules were called, in which order, what they join and whose output they take."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from distill.layers.forward import batch_size, feature_of, forward, replace_tensors, tensors
from distill.layers.modes import evaluating

ADDITIONS = {"add", "add_", "addcmul", "_transformer_encoder_layer_fwd"}
CONCATENATIONS = {"cat"}
MULTIPLICATIONS = {"mul", "mul_"}
ACTIVATIONS = {
    *("relu", "relu_", "gelu", "silu", "silu_", "hardtanh", "hardtanh_", "hardswish", "hardswish_", "leaky_relu"),
    *("leaky_relu_", "elu", "elu_", "celu", "celu_", "selu", "selu_", "mish", "mish_", "softplus", "tanh", "tanh_"),
    *("_prelu_kernel", "rrelu_with_noise", "relu6", "hardsigmoid", "hardsigmoid_", "sigmoid", "sigmoid_", "clamp_min"),
}
POOLINGS = {"mean", "amax", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d"}
BOUNDED = {"sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_", "tanh", "tanh_"}  # usually gates, not layers


Identity = tuple[int, int]  # which tensor, and how often it had been written in place


@dataclass(eq=False)
class Call:
    """One call of one module. `name` is the layer name; `ops` what the module's own `forward` did between its
    children: `add` and `cat` of feature maps, `mul`, activations by their name, `op` for anything else. `source` is the
    feature that enters, `result` the one that leaves; `closes_with_child`: nothing was done after the last child;
    `poolings`: when its own forward averaged a map (n, c, h, w) over its positions or took their largest value."""

    name: str
    module: nn.Module
    parent: Call | None
    start: int
    end: int = 0
    children: list[Call] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    poolings: list[int] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    source: Identity | None = None
    source_shape: tuple[int, ...] | None = None
    result: Identity | None = None
    closes_with_child: bool = False

    def descendants(self) -> Iterator[Call]:
        for child in self.children:
            yield child
            yield from child.descendants()

    @property
    def ancestors(self) -> Iterator[Call]:
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Builds the tree of calls; as a dispatch mode it sees the tensor operations of every module's own forward."""

    def __init__(self, model: nn.Module, batch: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch, self._clock = batch, 0
        self._paths: dict[nn.Module, str] = {module: name for name, module in model.named_modules()}
        self._counts: Counter[str] = Counter()
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self.root = Call("", model, None, 0)
        self._stack = [self.root]

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def identity(self, tensor: Tensor) -> Identity:
        """The same for two references to one tensor between in-place writes, and only for those."""
        known, token = self._known.get(id(tensor), (None, 0))
        if known is None or known() is not tensor:
            token = self._tick()
            self._known[id(tensor)] = (weakref.ref(tensor), token)
        return token, 0 if tensor.is_inference() else tensor._version

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        path = self._paths[module]
        self._counts[path] += 1
        name = path if self._counts[path] == 1 else f"{path}#{self._counts[path]}"
        call = Call(name, module, self._stack[-1], self._tick())
        feature = feature_of((args, kwargs), self.batch)
        if feature is not None:
            call.source, call.source_shape = self.identity(feature), tuple(feature.shape[1:])
        self._stack[-1].children.append(call)
        self._stack.append(call)

    def leave(self, output: Any) -> None:
        call = self._stack.pop()
        call.end = self._tick()
        feature = feature_of(output, self.batch)
        if feature is not None:
            call.shape, call.result = tuple(feature.shape[1:]), self.identity(feature)
        self._stack[-1].closes_with_child = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = self._stack[-1]
        name = func.overloadpacket.__name__
        call.ops.append(self._kind(name, args))
        if name in POOLINGS and isinstance(args[0], Tensor) and args[0].ndim == 4:
            call.poolings.append(self._tick())
        call.closes_with_child = False
        return func(*args, **(kwargs or {}))

    def _kind(self, name: str, args: Any) -> str:
        if name in ADDITIONS and self._maps(args[:2]):
            return "add"
        if name in CONCATENATIONS and self._maps(args[0]):
            return "cat"
        if name in MULTIPLICATIONS:
            return "mul"
        return name if name in ACTIVATIONS else "op"

    def _maps(self, operands: Any) -> bool:
        """Are these two or more feature maps of the batch (and not a map and a parameter that is broadcast)?"""
        maps = [t for t in tensors(list(operands)) if t.is_floating_point() and t.ndim >= 2]
        same_rank = len({t.ndim for t in maps}) == 1
        return len(maps) >= 2 and same_rank and all(self.batch and t.shape[0] % self.batch == 0 for t in maps)


def trace(model: nn.Module, example: Any) -> Call:
    """Run `example` once (eval mode, no gradient) and return the tree of calls under a root without a name."""
    example = _two_rows(example)
    tracer = Tracer(model, batch_size(example))
    modules = [module for name, module in model.named_modules() if name]
    handles = [m.register_forward_pre_hook(tracer.enter, with_kwargs=True) for m in modules]
    handles += [m.register_forward_hook(lambda _m, _a, output: tracer.leave(output)) for m in modules]
    feature = feature_of(example, tracer.batch)
    tracer.root.source = None if feature is None else tracer.identity(feature)
    try:
        with evaluating(model), torch.inference_mode(False), torch.no_grad(), tracer:
            output = feature_of(forward(model, example), tracer.batch)
    finally:
        for handle in handles:
            handle.remove()
    if output is not None:
        tracer.root.shape, tracer.root.result = tuple(output.shape[1:]), tracer.identity(output)
    return tracer.root


def _two_rows(example: Any) -> Any:
    """A batch of one becomes two equal rows, so that a broadcast parameter cannot be mistaken for a feature."""
    if batch_size(example) != 1:
        return example
    return replace_tensors(example, lambda t: torch.cat([t, t]) if t.ndim and t.shape[0] == 1 else t)
