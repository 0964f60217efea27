"""Networks whose parameters lie in shares on the processes that train them: torch's `fully_shard` (FSDP2).

Parameter p of n_1 rows: of w processes each has ceil(n_1 / w) at most, and of its gradient and of what an optimizer
keeps of it as many. A block's parameters are gathered whole when it runs, and let go after it; its gradients are the
mean over the processes, as those of `DistributedDataParallel`. Buffers are whole on every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import _composable_state
from torch.distributed._composable.contract import REGISTRY_KEY, STATE_KEY
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from distill.errors import InvalidConfig
from distill.offload import blocks
from distill.processes import world


def shard(module: nn.Module, *parts: nn.Module, device: torch.device) -> None:
    """Share the module's parameters among the processes, in place and on `device`: by blocks, then what is left of each
    of `parts`, then what is left of the module. What does not lie on the device goes there block by block."""
    mesh = init_device_mesh(device.type, (world(),))
    for each in (*(block for part in (parts or (module,)) for block in blocks(part)), *parts, module):
        fully_shard(each, mesh=mesh, reshard_after_forward=True)
    _state(module)._lazy_init()  # the module is the root, though a part of it may be called first


def is_sharded(module: nn.Module) -> bool:
    return isinstance(module, FSDPModule)


def begin_anew(module: nn.Module) -> None:
    """Call after a forward pass that ended before its last module: what was gathered is let go."""
    if isinstance(module, FSDPModule):
        module.reset_iter_state()


@contextmanager
def explained() -> Iterator[None]:
    """Raises `InvalidConfig` where a network inside takes weights of a block without calling the block."""
    try:
        yield
    except RuntimeError as error:
        if "mixed torch.Tensor and DTensor" not in str(error):
            raise
        raise InvalidConfig(
            "A network takes weights of a block without calling it, so that they cannot lie in shares.",
            "Choose another student, teacher or recipe, or leave resources.sharding out.",
            {"field": "sharding"},
        ) from error


def gather(module: nn.Module) -> None:
    """Undo `shard`, in place: every process has the whole module, on the CPU, as if it had never been shared. All must
    call."""
    sharded: list[Any] = [part for part in module.modules() if is_sharded(part)]
    for part in sharded:
        part.reshard()
    full = {id(p): nn.Parameter(whole(p.detach()), p.requires_grad) for p in module.parameters()}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            part.register_parameter(name, full[id(parameter)])
    for part in sharded:
        _release(part)
    module.cpu()


def _release(part: Any) -> None:
    """torch has no way back from `fully_shard`: this takes off its hooks, its class and its marks."""
    state = _state(part)
    handles = [state._pre_forward_hook_handle, state._post_forward_hook_handle]
    for group in state._fsdp_param_groups:
        handles += group._module_to_pre_save_state_dict_hook_handle.values()
        handles += group._module_to_pre_load_state_dict_hook_handle.values()
        handles += [parameter._post_load_hook_handle for parameter in group.fsdp_params]
    for handle in handles:
        handle.remove()
    part.__class__ = type(part).__mro__[part._orig_cls_mro_index]
    for below in part.modules():
        for mark in ("_is_fsdp_managed_module", "_fsdp_use_orig_params"):
            below.__dict__.pop(mark, None)
    for key in (STATE_KEY, REGISTRY_KEY):
        part.__dict__.pop(key, None)
    _composable_state._module_state_mapping.pop(part, None)


def _state(module: Any) -> Any:
    return module._get_fsdp_state()


# ---- states


def whole(value: Any, keep: bool = True) -> Any:
    """The same nesting with every tensor that lies in shares gathered, on the CPU; all processes must call. `keep`
    False: this process wants none of it, and gets None for every tensor that was shared."""
    if isinstance(value, DTensor):
        found = value.full_tensor()
        return found.cpu() if keep else None
    if isinstance(value, dict):
        return {key: whole(item, keep) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole(item, keep) for item in value)
    return value


def load(module: nn.Module, state: Mapping[str, Any]) -> None:
    """`load_state_dict` of a state that is whole, or in shares as the module's own."""
    own = module.state_dict()
    module.load_state_dict({name: _as(own.get(name), value) for name, value in state.items()})


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """The same of an optimizer: what it keeps of a parameter, in its shape, is shared as that."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    of = dict(zip(numbers, parameters, strict=True))
    kept = {
        number: {name: _as(of[number], value) for name, value in each.items()}
        for number, each in state["state"].items()
    }  # fmt: skip
    optimizer.load_state_dict(state | {"state": kept})


def copy_into(own: Tensor, value: Tensor) -> None:
    """`own.copy_(value)`, where either may be whole or in shares."""
    local(own).copy_(local(_as(own, value)))


def local(value: Tensor) -> Tensor:
    """What of the tensor this process has: changing it changes the tensor."""
    return value.to_local() if isinstance(value, DTensor) else value


def _as(own: Any, value: Any) -> Any:
    """A whole tensor, shared as one of its shape. Every process has it, so nothing is sent."""
    if not isinstance(own, DTensor) or not isinstance(value, Tensor) or isinstance(value, DTensor):
        return value
    if value.shape != own.shape:
        return value
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements, src_data_rank=None)
