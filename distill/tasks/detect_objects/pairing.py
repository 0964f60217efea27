"""Whether a student's logits can be compared with its teacher's: told before any long work."""

from __future__ import annotations

import torch
from torch import Tensor

from distill import recipes
from distill.answers import logits_of
from distill.errors import InvalidConfig
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.heads import Head, head_of
from distill.tasks.network import Network
from distill.types import DistillConfig

CLOSE = 1e-3
"""Share of the largest coordinate by which places that are the same may differ."""


@torch.no_grad()
def output_of(network: Network) -> Tensor:
    """What the network gives of a made-up input: (1, ...)."""
    device = next(network.module.parameters()).device
    with evaluating(network.module):
        return logits_of(forward(network.module, network.example(1, device)))


def reads_logits(config: DistillConfig) -> bool:
    """Whether the recipe learns from a teacher's logits."""
    needs = recipes.registry.flag(config.recipe, "needs_teacher", default=True)
    return needs and recipes.reads_logits(config.recipe, config.recipe_parameters)


def paired(config: DistillConfig, student: Network, teacher: Network) -> Head:
    """The student's head, as this teacher's logits teach it. Raises `InvalidConfig` where they cannot be paired with
    the student's: detectors of different kinds, of other places, strides or anchors, of another number of classes; or
    where the recipe averages answers that have no mean."""
    heads = head_of(student.module), head_of(teacher.module)
    if type(heads[0]) is not type(heads[1]):
        raise _unpaired(
            f"The student answers by {heads[0].title}, the teacher by {heads[1].title}: their logits cannot be paired.",
            student, teacher,
        )  # fmt: skip
    if not heads[0].pairs:
        raise _unpaired(
            f"Two detectors by {heads[0].title} have none in common: their logits cannot be paired.", student, teacher
        )
    if recipes.averages(config.recipe) and not heads[0].averages:
        raise _unpaired(
            f"{config.recipe} averages the answers of several networks; those of detectors by {heads[0].title} have no "
            "mean.", student, teacher,
        )  # fmt: skip
    outputs = output_of(student), output_of(teacher)
    ours, theirs = (head.comparable(output) for head, output in zip(heads, outputs, strict=True))
    if ours[0] != theirs[0] or not _alike(ours[1], theirs[1]):
        raise _unpaired(
            f"Student and teacher do not answer at the same places: {list(ours[0])} and {list(theirs[0])} (places, "
            "columns), or the same number of other ones. Their logits cannot be paired; the same image_size and "
            "strides (option finest) make them alike.",
            student, teacher,
        )  # fmt: skip
    size, own = teacher.preprocessing.size, student.preprocessing.size
    return heads[0].taught_by(teacher.module, outputs[1], size, own)


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the numbers are the same up to one factor."""
    if not ours.numel():
        return True
    ours, theirs = (each / each.abs().max().clamp(min=CLOSE) for each in (ours.cpu(), theirs.cpu()))
    return bool((ours - theirs).abs().max() < CLOSE)


def _unpaired(what: str, student: Network, teacher: Network) -> InvalidConfig:
    others = ", ".join(recipes.reading_features(SPEC.offers))
    return InvalidConfig(
        what, f"Use a recipe that reads features alone: {others}.",
        {"field": "recipe", "student": student.architecture.name, "teacher": teacher.architecture.name},
    )  # fmt: skip
