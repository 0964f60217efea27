"""Detectors that answer at points: FCOS."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distill.answers import Distance
from distill.models.points import BESIDE, Points
from distill.tasks.detect_objects import answering
from distill.tasks.detect_objects.assignment import assign
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.heads.divergence import Said, divergence, pairs_of, there_or_not
from distill.tasks.detect_objects.losses import detection_loss
from distill.tasks.detect_objects.rows import Objects


class PointHead(Head):
    """Rows (n, P, C + 8) of P points (`distill.models.points`)."""

    kind = answering.POINTS

    def classes(self, outputs: Tensor) -> int:
        return outputs.shape[-1] - BESIDE if outputs.dim() == 3 else 0

    def scored(self, outputs: Tensor) -> Scored:
        points = Points.of(outputs)
        return Scored(points.boxes[..., None, :], points.scores())

    def cells(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        points = Points.of(outputs[0])
        return points.places, points.strides

    def answering(self, outputs: Tensor, objects: Objects) -> Tensor:
        return assign(Points.of(outputs), objects).positive

    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """`distill.tasks.detect_objects.losses.detection_loss`: nats and shares."""
        points = Points.of(outputs.float())
        return detection_loss(points, assign(points, objects))

    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> Tensor:
        """Each class of each point is a choice of its own between there and not there. Teacher and student have the
        same points, as they have with the same strides and the same input, or of strides and inputs in the same ratio:
        then boxes are scaled."""
        pairs = pairs_of(outputs, targets)
        return torch.stack([_of_image(Points.of(s), Points.of(t), distance) for s, t in pairs]).mean()

    def comparable(self, outputs: Tensor) -> tuple[tuple[int, ...], Tensor]:
        return tuple(outputs.shape[1:]), Points.of(outputs[0]).places


def _of_image(student: Points, teacher: Points, distance: Distance) -> Tensor:
    scale = (student.strides / teacher.strides)[:, None]
    said = [Said(p.classes, p.classes.sigmoid(), p.boxes) for p in (student, teacher)]
    scaled = Said(said[1].logits, said[1].p, said[1].boxes * scale)
    return divergence(said[0], scaled, distance, there_or_not)
