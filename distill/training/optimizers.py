"""Optimizers by name: torch's AdamW and SGD, and whatever timm's factory makes that a resumed run can go on with."""

from __future__ import annotations

import inspect
from dataclasses import asdict, replace
from typing import Any

import torch

from distill.errors import UnknownName
from distill.optimisation import OWN, Facts, runnable
from distill.training.plan import Descent
from distill.types import DistillConfig

Groups = list[dict[str, Any]]


def make(groups: Groups, name: str, descent: Descent) -> torch.optim.Optimizer:
    """The optimizer of `groups`, whose rates the loop sets before every step."""
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=1e-3, weight_decay=descent.weight_decay, fused=True)
    given: dict[str, Any] = {"momentum": descent.momentum, "nesterov": descent.nesterov}
    kept = {key: value for key, value in given.items() if value is not None}
    if name == "sgd":
        return torch.optim.SGD(groups, lr=1e-3, weight_decay=descent.weight_decay, **kept)
    from timm.optim import create_optimizer_v2  # here: only who names one of timm's pays for its import

    made: torch.optim.Optimizer = create_optimizer_v2(groups, name, lr=1e-3, weight_decay=descent.weight_decay, **kept)
    return made


def cycled(config: DistillConfig) -> str:
    """The entry of a parameter group that one_cycle moves against the learning rate, as torch's OneCycleLR does; empty:
    none, since a momentum that was given stays, and optimizers by timm's names keep their own (**our choice**)."""
    if config.schedule != "one_cycle":
        return ""
    return {"adamw": "betas", "sgd": "momentum" if config.momentum == "auto" else ""}.get(config.optimizer, "")


def facts(name: str) -> Facts:
    """What the optimizer has. Raises `UnknownName`, and `InvalidConfig` for one that cannot run here."""
    if name in OWN:
        return OWN[name]
    if name not in _names():
        raise UnknownName("optimizer", name, [each["name"] for each in catalogue() if not each["refused"]])
    return runnable({"name": name} | asdict(_facts(name)))


def catalogue() -> list[dict[str, Any]]:
    """Every name, with its `Facts`."""
    return [{"name": name} | asdict(OWN[name] if name in OWN else _facts(name)) for name in _names()]


def _names() -> list[str]:
    import distill.torchvision_shim  # noqa: F401, I001 - before timm, which imports torchvision
    from timm.optim import list_optimizers

    return sorted({*OWN, *list_optimizers()})


def _facts(name: str) -> Facts:
    from timm.optim import get_optimizer_info

    info = get_optimizer_info(name)
    if isinstance(info.opt_class, str):
        return Facts(refused=f"it needs {info.opt_class.partition('.')[0]}, which is not installed")
    if info.second_order:
        return Facts(refused="it needs second derivatives, which no loss here keeps")
    if info.opt_class.__module__.endswith(".kron"):
        return Facts(refused="it draws random numbers that no checkpoint holds, so a resumed run would differ")
    arguments = inspect.signature(info.opt_class).parameters
    found = Facts(momentum="momentum" in arguments, nesterov="nesterov" in arguments)
    return replace(found, state=_state(name))


def _state(name: str) -> float:
    """Values that a step leaves in the optimizer for each of a 64 x 64 matrix."""
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 64 * 64).view(64, 64))
    made = make([{"params": [weight]}], name, Descent(0.0, 0.0))
    weight.grad = weight.detach().sin()
    made.step()
    kept = sum(value.numel() for value in made.state[weight].values() if isinstance(value, torch.Tensor))
    return round(kept / weight.numel(), 2)
