"""How a model is called and which tensor of an output is the feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def forward(model: nn.Module, inputs: Any) -> Any:
    """Call `model`: a mapping as keyword arguments, a tuple as positional ones, anything else as the only one."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, tuple):
        return model(*inputs)
    return model(inputs)


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested mappings and sequences, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from tensors(item)


def batch_size(inputs: Any) -> int | None:
    """Length of the first axis of the first tensor of the inputs."""
    return next((t.shape[0] for t in tensors(inputs) if t.ndim > 0), None)


def alone(inputs: Any) -> list[Any]:
    """Each sample of the inputs as a batch of its own."""
    return [replace_tensors(inputs, lambda tensor, at=at: tensor[at : at + 1]) for at in range(batch_size(inputs) or 0)]


def together(batches: Sequence[Any]) -> Any:
    """Batches of one nesting as one batch; a shorter second axis is filled with zeros on its right. Raises
    `ValueError` for none."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: together([batch[name] for batch in batches]) for name in first}
    if first.ndim < 2:
        return torch.cat(list(batches))
    longest = max(batch.shape[1] for batch in batches)
    after = [0, 0] * (first.ndim - 2)
    return torch.cat([functional.pad(batch, [*after, 0, longest - batch.shape[1]]) for batch in batches])


def feature_of(output: Any, batch: int | None) -> Tensor | None:
    """The feature in a module's output: the first floating tensor with a feature axis and, where the batch size is
    known, one row a sample. None where there is no such tensor (masks, shapes, sequence-first layouts)."""
    for tensor in tensors(output):
        if tensor.is_floating_point() and tensor.ndim >= 2 and batch in (None, tensor.shape[0]):
            return tensor
    return None


def to_device(value: Any, device: torch.device) -> Any:
    """The same nesting with every tensor on `device`."""
    return replace_tensors(value, lambda tensor: tensor.to(device, non_blocking=True))


def replace_tensors(value: Any, change: Any) -> Any:
    """The same nesting with `change` applied to every tensor (mappings keep their class where it can be rebuilt)."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        changed = {key: replace_tensors(item, change) for key, item in value.items()}
        return type(value)(**changed) if type(value) is not dict else changed
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replace_tensors(item, change) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(replace_tensors(item, change) for item in value)
    return value
