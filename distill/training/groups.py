"""Groups of parameters, each with its part of the schedule's learning rate."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import nn

from distill.models.depth import distances

Groups = list[dict[str, Any]]


def groups(trained: nn.Module, student: nn.Module, taken: frozenset[str], lower: float, decay: float) -> Groups:
    """The trained parameters of a recipe, `scale` a group's part of the learning rate:

        scale = (`lower` if the student took the tensor, else 1) x decay^d

    d: blocks between the tensor and the student's head (`distill.models.depth`), 0 for what is no part of the student.
    `taken`: names of the student's tensors that do not start from noise. The first group has the rate itself where
    anything is new.
    """
    named = {id(parameter): name for name, parameter in student.named_parameters()}
    depth = distances(student) if decay < 1 else {}
    found: dict[tuple[bool, int], list[nn.Parameter]] = defaultdict(list)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            name = named.get(id(parameter), "")
            found[name in taken, depth.get(name, 0)].append(parameter)
    return [{"params": found[key], "scale": (lower if key[0] else 1.0) * decay ** key[1]} for key in sorted(found)]


def told(student: nn.Module, decay: float, rate: float) -> dict[str, str]:
    """What `layer_decay` comes to, by field."""
    if decay == 1:
        return {}
    deepest = max(distances(student).values())
    return {
        "layer_decay": f"{decay:g} for each of {deepest} blocks from the head on: the peak falls from {rate:.3g} to "
        f"{rate * decay**deepest:.3g}"
    }
