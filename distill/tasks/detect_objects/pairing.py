"""Whether a student's logits can be compared with its teacher's: told before any long work."""

from __future__ import annotations

import torch
from torch import Tensor

from distill import offload
from distill.answers import logits_of
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.tasks.detect_objects.answering import elsewhere, reads_logits, unpaired
from distill.tasks.detect_objects.heads import Head, head_of
from distill.tasks.network import Network
from distill.types import DistillConfig

__all__ = ["output_of", "paired", "reads_logits"]

CLOSE = 1e-3
"""Share of the largest coordinate by which places that are the same may differ."""


@torch.no_grad()
def output_of(network: Network) -> Tensor:
    """What the network gives of a made-up input: (1, ...)."""
    device = offload.device_of(network.module)
    with evaluating(network.module):
        return logits_of(forward(network.module, network.example(1, device)))


def paired(config: DistillConfig, student: Network, teacher: Network) -> Head:
    """The student's head, as this teacher's logits teach it. Raises `InvalidConfig` where they cannot be paired with
    the student's: detectors of different kinds, of other places, strides or anchors, of another number of classes; or
    where the recipe averages answers that have no mean."""
    if found := unpaired(config, student.architecture, teacher.architecture):
        raise found
    heads = head_of(student.module), head_of(teacher.module)
    outputs = output_of(student), output_of(teacher)
    ours, theirs = (head.comparable(output) for head, output in zip(heads, outputs, strict=True))
    if ours[0] != theirs[0] or not _alike(ours[1], theirs[1]):
        raise elsewhere(ours[0], theirs[0], student.architecture, teacher.architecture)
    size, own = teacher.preprocessing.size, student.preprocessing.size
    return heads[0].taught_by(teacher.module, outputs[1], size, own)


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the numbers are the same up to one factor."""
    if not ours.numel():
        return True
    ours, theirs = (each / each.abs().max().clamp(min=CLOSE) for each in (ours.cpu(), theirs.cpu()))
    return bool((ours - theirs).abs().max() < CLOSE)
