"""Networks whose layers are narrower than their constructor makes them: described, and made again, by sizes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from distill.errors import InvalidConfig

Widths = dict[str, list[int]]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def widths_between(whole: nn.Module, narrow: nn.Module) -> Widths:
    """What `narrow`, a copy of `whole` with layers cut, differs in. Of a module with a weight: the leading sizes of the
    weight; of an attention module: its number of heads; of a parameter of another module: its own sizes. 0: as in
    `whole`."""
    found: Widths = {}
    others = dict(narrow.named_modules())
    for path, module in whole.named_modules():
        other = others[path]
        if _heads(module) != _heads(other):
            found[path] = [_heads(other)]
        for name, tensor in module.named_parameters(recurse=False):
            at = path if name == "weight" else f"{path}.{name}".lstrip(".")
            sizes = _differing(tensor, getattr(other, name))
            if sizes and not (name == "bias" and isinstance(getattr(module, "weight", None), Tensor)):
                found[at] = sizes
    return found


def narrow(network: nn.Module, widths: Mapping[str, Sequence[int]]) -> nn.Module:
    """`network` itself with layers of these sizes (`widths_between`): each tensor that becomes smaller keeps its first
    values. Raises `InvalidConfig` for a path that the network has not and for sizes that are larger than its own."""
    modules = dict(network.named_modules())
    for path, sizes in widths.items():
        module, name = modules.get(path), "weight"
        if module is None:
            owner, _, name = path.rpartition(".")
            module = modules.get(owner)
        if module is None or not _cut(module, name, sizes):
            raise InvalidConfig(
                f"A pruned {type(network).__name__} cannot have {list(sizes)} at {path!r}.",
                "Give what a pruned student's header has, with the options of its own network.",
                {"path": path},
            )
    return network


def _heads(module: nn.Module) -> int:
    found = getattr(module, "num_heads", None)
    return found if type(found) is int and type(getattr(module, "head_dim", None)) is int else 0


def _differing(whole: Tensor, other: Tensor) -> list[int]:
    sizes = [0 if before == after else after for before, after in zip(whole.shape, other.shape, strict=True)]
    while sizes and not sizes[-1]:
        sizes.pop()
    return sizes


def _cut(module: Any, name: str, sizes: Sequence[int]) -> bool:
    """Whether it could be done."""
    tensor = getattr(module, name, None)
    if name == "weight" and tensor is None:
        return _cut_heads(module, sizes)
    if not isinstance(tensor, nn.Parameter) or not 0 < len(sizes) <= tensor.dim():
        return False
    if not all(0 <= size <= there for size, there in zip(sizes, tensor.shape, strict=False)):
        return False
    for dim, size in enumerate(sizes):
        if size:
            tensor = tensor.narrow(dim, 0, size)
    setattr(module, name, nn.Parameter(tensor.detach().clone(), requires_grad=getattr(module, name).requires_grad))
    if name == "weight":
        _follow(module, tensor)
    return True


def _cut_heads(module: Any, sizes: Sequence[int]) -> bool:
    before = _heads(module)
    if len(sizes) != 1 or not 0 < sizes[0] <= before:
        return False
    module.num_heads = sizes[0]
    if hasattr(module, "attn_dim"):
        module.attn_dim = sizes[0] * module.head_dim
    return True


def _follow(module: Any, weight: Tensor) -> None:
    """What a module has beside its weight: one number a channel, and sizes as plain numbers."""
    channels = weight.shape[0]
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if name != "weight" and tensor.dim() == 1 and tensor.shape[0] > channels:
            kept = tensor[:channels].detach().clone()
            setattr(module, name, nn.Parameter(kept) if isinstance(tensor, nn.Parameter) else kept)
    if isinstance(module, _CONVOLUTIONS):
        depthwise = module.groups == module.in_channels > 1
        module.groups = channels if depthwise else module.groups
        module.out_channels, module.in_channels = channels, weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = channels, weight.shape[1]
    elif isinstance(module, _BATCH_NORMS):
        module.num_features = channels
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = channels
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)
