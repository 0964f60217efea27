"""A device that is not the host's, without one: torch's meta device, watched.

A tensor on `meta` stands for one on an accelerator. `Watched` sees every operation below autograd, both ways.
It computes shapes and devices as torch does for `meta`, and beside that the values on the host, so that what depends on
values goes on. It keeps two kinds of findings:

* `mixed`: an operation that reads a tensor of the host beside one of the device. On an accelerator it fails, or copies.
* `waits`: an operation that makes the host wait for the device: `.item()`, `.cpu()`, `nonzero`, a boolean mask, a copy
  from the host that is not asynchronous.

A finding says where: the innermost function of `distill/` on the stack, and the operation.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

import distill

DEVICE = torch.device("meta")
ROOT = Path(distill.__file__).parent
aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default)
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
#: Their result depends on values, or is one: the host must have them.
WAITING = (
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
    aten._unique2.default, aten.repeat_interleave.Tensor, aten.bincount.default,
)  # fmt: skip


@dataclass
class Findings:
    mixed: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)


@contextmanager
def watching() -> Iterator[Watched]:
    """What torch does below every mode, or not at all for `meta`, goes by other ways meanwhile."""
    with ExitStack() as patched:
        for name in ("tensor", "as_tensor"):
            patched.enter_context(patch.object(torch, name, _made(getattr(torch, name))))
        patched.enter_context(patch.object(torch, "autocast", _autocast(torch.autocast)))
        patched.enter_context(patch.object(Tensor, "pin_memory", lambda tensor: tensor))
        with Watched() as watched:
            yield watched


class Watched(TorchDispatchMode):
    """Notes what it sees within `noting()`; the rest of the time it only keeps values."""

    def __init__(self) -> None:
        super().__init__()
        self._found: Findings | None = None
        self._values = WeakTensorKeyDictionary()

    @contextmanager
    def noting(self) -> Iterator[Findings]:
        self._found = Findings()
        try:
            yield self._found
        finally:
            self._found = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        if not any(each.device == DEVICE for each in given) and not _on_device(kwargs.get("device")):
            return func(*args, **kwargs)
        if func not in WAITING and func not in INDEXED:  # inference mode gives operations that are made of others
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        self._look(func, args, kwargs, given)
        real = func(*tree_map(self._value, args), **{name: self._value(each) for name, each in kwargs.items()})
        if func in WAITING or (func in COPIES and not _lands_on_device(func, args, kwargs)):
            return self._from_values(func, args, kwargs, real)
        if func is aten._to_copy.default and args[0].device != DEVICE:
            out = torch.empty_like(real, device=DEVICE)
        elif func in INDEXED and any(map(_mask, args[1])):
            out = args[0] if func is aten.index_put_.default else torch.empty_like(real, device=DEVICE)
        else:
            out = func(*tree_map(_placed, args), **tree_map(_placed, kwargs))
        self._keep(out, real)
        return out

    def _look(self, func: Any, args: Any, kwargs: Any, given: list[Tensor]) -> None:
        if func in COPIES:
            source = args[0] if func is aten._to_copy.default else args[1]
            crosses = (source.device == DEVICE) != _lands_on_device(func, args, kwargs)
            late = kwargs.get("non_blocking") or (func is aten.copy_.default and args[2:3] == (True,))
            if crosses and not (late and source.device != DEVICE):
                self._note("waits", func)
            return
        if any(each.device != DEVICE and each.dim() > 0 for each in given):
            self._note("mixed", func)
        if func in WAITING or (func in INDEXED and any(map(_mask, args[1]))):
            self._note("waits", func)

    def _from_values(self, func: Any, args: Any, kwargs: Any, real: Any) -> Any:
        """What an operation gives the host, or what only values tell."""
        if func is aten.copy_.default:
            return args[0]
        if func is aten._to_copy.default:
            return real
        out = tree_map(lambda each: torch.empty_like(each, device=DEVICE) if isinstance(each, Tensor) else each, real)
        self._keep(out, real)
        return out

    def _value(self, given: Any) -> Any:
        if isinstance(given, torch.device):
            return torch.device("cpu") if given == DEVICE else given
        if not isinstance(given, Tensor) or given.device != DEVICE:
            return given
        if given not in self._values:  # made above this mode, as a module's parameters are
            self._values[given] = torch.zeros(given.shape, dtype=given.dtype)
        return self._values[given]

    def _keep(self, out: Any, real: Any) -> None:
        for one, other in zip(tree_iter(out), tree_iter(real), strict=True):
            if isinstance(one, Tensor) and one.device == DEVICE:
                self._values[one] = other

    def _note(self, kind: str, func: Any) -> None:
        if self._found is not None:
            getattr(self._found, kind)[f"{where()} {func.overloadpacket.__name__}"] += 1


def _made(function: Any) -> Any:
    """Numbers of the host made on the device: torch does that below every mode, so here it is a copy that one sees."""

    def make(data: Any, *args: Any, device: Any = None, **kwargs: Any) -> Any:
        made = function(data, *args, **kwargs) if _on_device(device) else function(data, *args, device=device, **kwargs)
        return made.to(DEVICE) if _on_device(device) else made

    return make


def _autocast(real: Any) -> Any:
    """Without effect on `meta`, for which torch has none."""
    return lambda kind, *args, **kwargs: nullcontext() if kind == DEVICE.type else real(kind, *args, **kwargs)


def _on_device(device: Any) -> bool:
    return device is not None and torch.device(device) == DEVICE


def _lands_on_device(func: Any, args: Any, kwargs: Any) -> bool:
    if func is aten.copy_.default:
        return bool(args[0].device == DEVICE)
    return _on_device(kwargs.get("device") or args[0].device)


def _mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _placed(given: Any) -> Any:
    """Torch's rules for `meta` know no other device: what is mixed was noted, and goes on."""
    if isinstance(given, Tensor) and given.device != DEVICE and given.dim() > 0:
        return torch.empty_like(given, device=DEVICE)
    return given


def where() -> str:
    """The innermost function of distill/ on the stack; of a backward pass the one that called it."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if ROOT in path.parents:
            return f"{path.relative_to(ROOT)}:{frame.name}"
    return "?"
