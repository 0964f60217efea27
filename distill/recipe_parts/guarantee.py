"""Proof by gradients that nothing passes the deepest distilled layer by."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.layers import capture
from distill.layers.modes import evaluating
from distill.recipe_parts.base import Setup
from distill.recipe_parts.networks import beside, run_logits


def check_nothing_bypasses(setup: Setup) -> None:
    """Raise `InvalidConfig` if, with the deepest student layer detached, the logits still depend on a parameter that
    a distilled feature depends on. Needs `setup.student_example`; without one nothing is checked. Leaves the
    student's mode, gradients, buffers and random state as they were."""
    if setup.student_example is None:
        return
    leaks = leaking_parameters(setup)
    if leaks:
        raise InvalidConfig(
            f"The head's gradient passes layer {setup.student_layers[-1]!r} by and reaches {leaks[0]!r}.",
            "Choose a later student layer: the end of a stage or of the backbone, not one inside a dense block.",
            {"layer": setup.student_layers[-1], "parameters": leaks[:20]},
        )


def leaking_parameters(setup: Setup) -> list[str]:
    """Names of the parameters that both the detached head and a distilled feature depend on."""
    named = [(name, p) for name, p in setup.student.named_parameters() if p.requires_grad]
    parameters = [p for _, p in named]
    deepest = setup.student_layers[-1]
    with evaluating(setup.student), torch.enable_grad():
        with capture(setup.student, setup.student_layers, detach_at=deepest) as features:
            logits = run_logits(setup.student, beside(setup.student, setup.student_example))
        head = _depends(logits.float().sum(), parameters)
        total = torch.stack([features[name].float().sum() for name in setup.student_layers]).sum()
        backbone = _depends(total, parameters)
    return [name for (name, _), h, b in zip(named, head, backbone, strict=True) if h and b]


def _depends(value: Tensor, parameters: list[nn.Parameter]) -> list[bool]:
    if not value.requires_grad:
        return [False] * len(parameters)
    gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    return [g is not None for g in gradients]
