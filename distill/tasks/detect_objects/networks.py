"""Detectors: one file of weights each."""

from __future__ import annotations

from typing import Any

import torch

from distill.answers import logits_of
from distill.answers.reaching import ReachingPlaces
from distill.tasks import image_networks
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.answering import elsewhere, reads_logits
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.image_networks import build, catalogue_of, examine, layers, measure
from distill.tasks.rehearsal import Actor, Cast
from distill.warned import RunWarning

__all__ = ["build", "catalogue", "examine", "layers", "measure", "rehearse"]


def catalogue() -> list[dict[str, str]]:
    return catalogue_of(SPEC.name)


def rehearse(question: dict[str, Any]) -> list[RunWarning]:
    return image_networks.rehearse(question, ReachingPlaces(), agree)


def agree(cast: Cast) -> None:
    """Raises `InvalidConfig` where logits are compared and student and teacher answer at other places, as far as their
    number tells (`pairing.paired`)."""
    if cast.teacher is None or not reads_logits(cast.config):
        return
    ours, theirs = _shape(cast.student), _shape(cast.teacher)
    if ours != theirs:
        raise elsewhere(ours, theirs, cast.student.architecture, cast.teacher.architecture)


@torch.no_grad()
def _shape(actor: Actor) -> tuple[int, ...]:
    network = actor.network.eval()
    return head_of(network).comparable(logits_of(network(actor.example[:1])))[0]
