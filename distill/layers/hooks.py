"""Read the outputs of named layers during a forward pass, with their graphs, through hooks that are always removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from distill.errors import LayersNotFound
from distill.layers.forward import batch_size, feature_of, forward, replace_tensors
from distill.layers.names import Point, resolve

Sink = Callable[[str, Tensor], None]


class Features(dict[str, Tensor]):
    """Layer name -> feature of the last forward pass. A layer that did not run raises `LayersNotFound`."""

    def __missing__(self, name: str) -> Tensor:
        raise LayersNotFound(
            f"Layer {name!r} was not captured.",
            "It was not asked for, or this forward pass did not reach it with a tensor of one row a sample.",
            {"name": name, "captured": list(self)},
        )


class _Stopped(BaseException):
    """Ends a forward pass after its last captured layer; never leaves `Capture`.

    Not an `Exception`, so that a model's own `except Exception` cannot swallow it."""

    def __init__(self, owner: Capture) -> None:
        self.owner = owner


class Capture:
    """Context manager behind `capture`; see there. Reusable, one entry at a time: it remembers which features later
    modules overwrite, so that from the second pass on only those are copied."""

    def __init__(
        self, model: nn.Module, names: Iterable[str], stop: bool, detach_at: str | None, sink: Sink | None
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        wanted = dict.fromkeys([*self.names, *([detach_at] if detach_at else [])])
        self._points = resolve(model, wanted)
        self._model, self._stop, self._detach_at, self._sink = model, stop, detach_at, sink
        self.features = Features()
        self._handles: list[RemovableHandle] = []
        self._calls: Counter[tuple[str, bool]] = Counter()
        self._pending: set[str] = set()
        self._batch: int | None = None
        self._versions: dict[str, tuple[Tensor, int, bool]] = {}
        self._copies: dict[tuple[str, bool], bool] = {}  # (name, training) -> overwritten later; unknown: copy

    def __enter__(self) -> Features:
        if self._handles:
            raise RuntimeError("This capture is already open; open one per forward pass, or make another.")
        self._begin(None)
        hook = self._model.register_forward_pre_hook(
            lambda _, args, kwargs: self._begin((args, kwargs)), with_kwargs=True
        )
        self._handles = [hook, *(self._attach(point, module) for point, module in self._points)]
        self._handles.append(self._model.register_forward_hook(lambda *_: self._learn()))
        return self.features

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for handle in self._handles:
            handle.remove()
        self._handles, self._versions = [], {}
        return isinstance(error, _Stopped) and error.owner is self

    def _begin(self, inputs: Any) -> None:
        self._batch = batch_size(inputs)
        self._calls.clear()
        self.features.clear()
        self._versions.clear()
        self._pending = set(self.names)

    def _attach(self, point: Point, module: nn.Module) -> RemovableHandle:
        if point.is_input:
            return module.register_forward_pre_hook(
                lambda _, args, kwargs: self._on_input(point, args, kwargs), with_kwargs=True
            )
        return module.register_forward_hook(lambda m, _, output: self._on_call(point, m.training, output))

    def _on_input(self, point: Point, args: Any, kwargs: Any) -> Any:
        return self._on_call(point, self._model.training, (args, kwargs))

    def _on_call(self, point: Point, training: bool, output: Any) -> Any:
        key = (point.name, point.is_input)
        self._calls[key] += 1
        if self._calls[key] != point.call:
            return None
        if point.name in self._pending:
            self._take(point.name, training, output)
        if self._stop and not self._pending:
            self._learn()
            raise _Stopped(self)
        return replace_tensors(output, _detached) if point.name == self._detach_at else None

    def _take(self, name: str, training: bool, output: Any) -> None:
        feature = feature_of(output, self._batch)
        if feature is None:
            return
        self._pending.discard(name)
        if self._sink is not None:
            self._sink(name, feature)
            return
        self.features[name] = self._keep(name, training, feature)

    def _keep(self, name: str, training: bool, feature: Tensor) -> Tensor:
        """The feature, copied where a later in-place module overwrites it or that is not known yet."""
        if self._stop and not self._pending:
            return feature  # nothing runs after it
        if feature.is_inference():
            return feature.clone()  # inference tensors carry no version to learn from
        copy = self._copies.get((name, training), True)
        self._versions[name] = (feature, feature._version, training)
        # A view, not the tensor itself: the graph keeps the same nodes in the same order whether copied or not, so a
        # run that has just been resumed (and copies once to learn) sums its gradients to the same bits.
        return feature.clone() if copy else feature.view_as(feature)

    def _learn(self) -> None:
        """At the end of a pass: which features were overwritten after they were taken."""
        for name, (tensor, version, training) in self._versions.items():
            overwritten = tensor._version != version
            if overwritten and self._copies.get((name, training)) is False:
                raise RuntimeError(f"Layer {name!r} is overwritten in place in some forward passes only; capture anew.")
            self._copies[name, training] = self._copies.get((name, training), False) or overwritten
        self._versions.clear()


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach() if tensor.requires_grad else tensor


def capture(
    model: nn.Module,
    names: Iterable[str],
    stop: bool = False,
    detach_at: str | None = None,
    sink: Sink | None = None,
) -> Capture:
    """Capture the features of named layers of every forward pass inside the `with` block.

        with capture(model, ["layer1.0", "layer4.2"]) as features:
            logits = model(x)
        features["layer1.0"]          # Tensor (n, ...) with its graph

    `names`: names as `discover` gives them: a module path, `path#2` for the second call of the same module, and
    `path:input` for what enters a module. The features are those of the last pass.
    `stop`: the pass ends right after the last named layer ran, and with it the `with` block (a private exception,
    swallowed here): statements after `model(x)` in the block are not run. `run_until` is the one-line form.
    `detach_at`: the model goes on from `feature.detach()` at that layer, while the captured tensor keeps its graph.
    `sink`: called as `sink(name, feature)` the moment a layer has run, and nothing is kept (for large features; it
    must copy what it wants to keep).

    A captured tensor is the layer's output at that moment: where a later in-place module overwrites it, a copy.
    Hooks are removed on leaving, also on errors; nothing else of the model is touched (mode, autocast, layout).
    Raises `LayersNotFound` for a name the model lacks, and on reading a layer that the pass did not reach.
    """
    return Capture(model, names, stop, detach_at, sink)


def run_until(model: nn.Module, names: Iterable[str], inputs: Any) -> Features:
    """Features of the named layers; the forward pass ends with the deepest of them.

    `inputs`: a tensor, a tuple of positional or a mapping of keyword arguments. Grad mode is the caller's.
    """
    names = tuple(names)
    with capture(model, names, stop=True) as features:
        forward(model, inputs)
    for name in names:
        features[name]  # a layer that did not run raises here, with its name
    return features
