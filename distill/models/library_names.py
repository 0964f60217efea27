"""Older names and layouts of a library's own checkpoints, read by the library's own code.

timm: the `checkpoint_filter_fn` beside the network. torchvision: the renames of its weights (DenseNet), and those that
modules do in `load_state_dict` themselves (ViT's MLP, MNASNet). transformers: the renames between its releases.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from distill.layers.forward import tensors
from distill.models.names import Name
from distill.models.segformer import renaming
from distill.models.vision import renamed
from distill.vision_folder import FAMILIES

_FILTERS = ("checkpoint_filter_fn", "checkpoint_filter_fn_classifier", "_filter_fn", "_filter_torchvision_pretrained")
FAILURES = (RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, AssertionError, ArithmeticError)
"""What a library's reading raises for a file that it was not made for."""


def load_by_library(name: Name, network: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """Load `state` strictly into `network`, the way the library loads its own files; the names that it did not use.
    Raises one of `FAILURES` where they do not fit. Both may be on the meta device."""
    given = dict(state)
    with warnings.catch_warnings(), _Reads() as reads:
        warnings.simplefilter("ignore")  # on the meta device torch says of every tensor that it copies nothing
        network.load_state_dict(_renamed(name, network, dict(given)))
    return {key for key, tensor in given.items() if id(tensor) not in reads.seen}


def _renamed(name: Name, network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    if name.library == "timm":
        return _timm(name, network, state)
    if name.library == "transformers" and name.name in FAMILIES:
        return renamed(network, state)
    if name.library == "transformers":
        names = renaming(network)
        return {names(key): tensor for key, tensor in state.items()}
    return _torchvision(name, state) if name.library == "torchvision" else state


def _timm(name: Name, network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    import timm  # here: names.py says why

    module = sys.modules[timm.model_entrypoint(name.name.partition(".")[0]).__module__]
    change: Any = next((getattr(module, each) for each in _FILTERS if hasattr(module, each)), None)
    if change is None:
        return state
    try:
        changed: dict[str, Tensor] = change(state, network)
    except TypeError:  # some take no network
        changed = change(state)
    return changed


def _torchvision(name: Name, state: dict[str, Tensor]) -> dict[str, Tensor]:
    import torchvision.models

    module = sys.modules[torchvision.models.get_model_builder(name.name).__module__]
    load: Any = getattr(module, "_load_state_dict", None)
    if load is None:
        return state
    changed: dict[str, Tensor] = {}
    file = SimpleNamespace(get_state_dict=lambda **_: state)
    load(model=SimpleNamespace(load_state_dict=changed.update), weights=file, progress=False)
    return changed


class _Reads(TorchFunctionMode):
    """Which tensors were computed with or copied, told by their identity; a look at a shape is none."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self._kept: list[Any] = []  # an id is unique only while its tensor lives

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") != "__get__":
            read = list(tensors([*args, *kwargs.values()]))
            self.seen |= set(map(id, read))
            self._kept += read
        return func(*args, **kwargs)


def as_meta(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of that shape without storage."""
    return torch.empty(shape, dtype=dtype, device="meta")
