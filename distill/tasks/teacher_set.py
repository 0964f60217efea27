"""A set of teachers as one network: what of one teacher is read by path or as logits, is read of the set alike.

A set of one is that teacher itself, so that nothing beside this module asks how many there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from distill.answers import logits_of
from distill.layers.forward import forward
from distill.modalities.images.together import Together
from distill.tasks.network import Network
from distill.types import Architecture

LONGEST = 200  # characters of an architecture's name


class TeacherSet(nn.Module):
    """`set(*inputs)`: an input for each member, in order -> sum_t w_t z_t, (n, C) in fp32: the weighted mean of the
    members' logits z_t, the weights w_t summing to 1.

    softmax of the mean of logits / T is, at every temperature T, the normalised weighted geometric mean of the members'
    softened probabilities: with the arithmetic mean one of the two soft targets of an ensemble that Hinton, Vinyals and
    Dean name (arXiv 1503.02531, section 1). **Our choice** of the two: logits are what every recipe reads, some of them
    at no temperature. A member with larger logits than the others counts for more; its weight can take that back.
    Members whose outputs are not of one shape have no logits together: their outputs stand side by side in a mapping,
    in which `distill.answers.logits_of` finds none.
    """

    def __init__(self, members: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights = tuple(weight / sum(weights) for weight in weights)

    def forward(self, *inputs: Any) -> Any:
        found = [logits_of(forward(each, seen)).float() for each, seen in zip(self.members, inputs, strict=True)]
        if len({logits.shape[1:] for logits in found}) > 1:
            return {"outputs": tuple(found)}
        return torch.stack([w * logits for w, logits in zip(self.weights, found, strict=True)]).sum(0)


def layer_of(position: int, of: int, name: str) -> str:
    """What the layer `name` of the teacher at `position`, of `of` teachers, is called in their set."""
    return name if of == 1 else f"members.{position}.{name}"


def joined(networks: Sequence[Network], weights: Sequence[float]) -> Network:
    """The networks of pictures as one teacher; of one network itself. Its digest tells the files and the weights."""
    if len(networks) == 1:
        return networks[0]
    module = TeacherSet([network.module for network in networks], weights)
    told = " ".join(f"{network.digest} {weight:.9g}" for network, weight in zip(networks, module.weights, strict=True))
    return Network(
        module,
        Architecture(name=" + ".join(network.architecture.name for network in networks)[:LONGEST]),
        Together(tuple(network.preprocessing for network in networks)),
        digest=hashlib.sha256(told.encode()).hexdigest(),
        bytes=sum(network.bytes or 0 for network in networks),
        label=" and ".join(network.label for network in networks),
        members=tuple(networks),
    )


def weights_of(given: Sequence[float] | Literal["auto"], teachers: int) -> tuple[float, ...]:
    """The share of each teacher, summing to 1: equal unless given."""
    shares = (1.0,) * teachers if given == "auto" else tuple(given)
    return tuple(share / sum(shares) for share in shares)
