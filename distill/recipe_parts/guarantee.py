"""Proof by gradients that no connection bypasses the deepest distilled layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.layers import capture, discover
from distill.layers.modes import evaluating
from distill.recipe_parts.networks import beside, run_logits


def check_nothing_bypasses(student: nn.Module, layers: Sequence[str], example: Any) -> None:
    """Raise `InvalidConfig` if, with the deepest of the `layers` detached, the logits still depend on a parameter that
    a distilled feature depends on. The remedy names the first deeper layer without such a connection, where there is
    one. `example`: a batch of at least 2 inputs; None: nothing is checked. The student's mode, gradients, buffers and
    random state stay as they were."""
    if example is None:
        return
    leaks = leaking_parameters(student, layers, example)
    if leaks:
        raise InvalidConfig(
            f"A connection bypasses layer {layers[-1]!r} of the student, so that the head's gradient would reach "
            f"{leaks[0]!r}.",
            _remedy(student, layers, example),
            {"layer": layers[-1], "parameters": leaks[:20]},
        )


def _remedy(student: nn.Module, layers: Sequence[str], example: Any) -> str:
    for name in _deeper(student, layers[-1], beside(student, example)):
        if not leaking_parameters(student, [*layers[:-1], name], example):
            return f"Let student_layers end with {name!r}, the first deeper layer that no connection bypasses."
    return (
        "No deeper layer of this student will do. Use a recipe that lets the labels reach the backbone (feature_logit, "
        "with kl: false for features and labels alone), or another student."
    )


def _deeper(student: nn.Module, layer: str, example: Any) -> list[str]:
    """The generalised layers that end after `layer`, which may be any module."""
    found = [each.name for each in discover(student, example)]
    order = [each.name for each in discover(student, example, [*found, layer])]
    return order[order.index(layer) + 1 :]


def leaking_parameters(student: nn.Module, layers: Sequence[str], example: Any) -> list[str]:
    """Names of the parameters that both the detached head and a distilled feature depend on."""
    named = [(name, p) for name, p in student.named_parameters() if p.requires_grad]
    parameters = [p for _, p in named]
    with evaluating(student), torch.enable_grad():
        with capture(student, tuple(layers), detach_at=layers[-1]) as features:
            logits = run_logits(student, beside(student, example))
        head = depends(logits.float().sum(), parameters)
        total = torch.stack([features[name].float().sum() for name in layers]).sum()
        backbone = depends(total, parameters)
    return [name for (name, _), h, b in zip(named, head, backbone, strict=True) if h and b]


def depends(value: Tensor, parameters: list[nn.Parameter]) -> list[bool]:
    """Whether the scalar, with its graph, depends on each of the parameters."""
    if not value.requires_grad:
        return [False] * len(parameters)
    gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    return [g is not None for g in gradients]
