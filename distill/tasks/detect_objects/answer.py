"""A class and a box at every point: the detector's loss, how far it is from a teacher, and its running precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill import processes
from distill.answers import Answer, Compared, Distance, logits_of
from distill.answers.base import Guess
from distill.errors import InvalidConfig
from distill.models.points import BESIDE, Points
from distill.tasks.detect_objects.assignment import assign
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.geometry import giou
from distill.tasks.detect_objects.losses import detection_loss
from distill.tasks.detect_objects.rows import COLUMNS, Objects
from distill.tasks.detect_objects.running import counts, precision_by_threshold

SURE = 0.05
"""p(class) from which on a network says something of a point: only there the teacher's logits are compared."""


class BoxAnswer(Answer):
    """Rows (n, P, C + 8) of P points (`distill.models.points`), labels (n, m, 6) of m boxes (`labels` beside this)."""

    loss_name: ClassVar[str] = "detection"
    primary: ClassVar[str] = "ap"
    counts_in_training: ClassVar[bool] = False

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        """Raises `InvalidConfig` for outputs or labels of another task."""
        rows = logits_of(output)
        if rows.dim() != 3 or rows.shape[-1] <= BESIDE or labels.dim() != 3 or labels.shape[-1] != COLUMNS:
            raise InvalidConfig(
                f"A detector gives rows (n, points, classes + {BESIDE}) and has labels (n, boxes, {COLUMNS}), not "
                f"{tuple(rows.shape)} and {tuple(labels.shape)}.",
                "Use a dense detector, such as retort:fcos.",
                {"outputs": list(rows.shape), "labels": list(labels.shape)},
            )
        return Compared(rows, labels, targets or {})

    def loss(self, compared: Compared) -> Tensor:
        """`distill.tasks.detect_objects.losses.detection_loss`: nats and shares, a mean over the images."""
        points = Points.of(compared.outputs.float())
        return detection_loss(points, assign(points, Objects.of(compared.labels)))

    def divergence(self, compared: Compared, distance: Distance) -> Tensor:
        """Scalar: the mean over the images of

            sum_points sum_classes d( (z_s, 0), (z_t, 0) ) / N + sum_points w (1 - GIoU(box_s, box_t)) / N

        z: class logits. Each class of each point is a choice of its own between there and not there, since a detector's
        probabilities are sigmoids: two logits (z, 0), whose softmax is (sigmoid(z), 1 - sigmoid(z)). So the recipe's
        distance d, made for a softmax, is the divergence of two Bernoulli variables. This form, and boxes by IoU with
        the teacher's confidence as weight, are those of BCKD (arXiv 2308.14286). **Our choices**: sums go over the
        points where one of both networks says p(class) >= 0.05, w is the teacher's largest p(class) there, N the sum of
        w, at least 1; GIoU in place of IoU; no further weight by |p_t - p_s|. Teacher and student must have the same
        points, as they have with the same strides and the same input, or of strides and inputs in the same ratio: then
        boxes are scaled. Raises `InvalidConfig` for others."""
        students, teachers = compared.outputs.float(), compared.targets["logits"].float()
        if students.shape != teachers.shape:
            raise other_points(students.shape[1:], teachers.shape[1:])
        pairs = zip(students, teachers, strict=True)
        with processes.sharing(together=False):  # `distance` compares the points of one image
            return torch.stack([_divergence(Points.of(s), Points.of(t), distance) for s, t in pairs]).mean()

    def weight(self, labels: Tensor) -> int:
        return len(labels)

    def figures(self, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`table` (2, 10, C, BINS) and `objects` (C,): see `distill.tasks.detect_objects.running`. Waits for the
        device."""
        table, held = counts([detect(one) for one in outputs], Objects.of(labels), outputs.shape[-1] - BESIDE)
        return {"table": table.to(outputs.device), "objects": held.to(outputs.device)}

    def values(self, sums: Mapping[str, Tensor], count: float) -> dict[str, float]:
        found = precision_by_threshold(sums["table"], sums["objects"])
        return {"ap": float(found.mean()), "ap50": float(found[0])}

    def at_chance(
        self, values: Mapping[str, float], guess: Guess | None, tally: Callable[[], Tensor | None]
    ) -> str | None:
        """A detector none of whose boxes meets an object of its class by half (**our choice**)."""
        return "none of its boxes meets an object of its class, AP50 0" if values["ap50"] == 0 else None


def _divergence(student: Points, teacher: Points, distance: Distance) -> Tensor:
    """Of one image's points."""
    sure = teacher.classes.sigmoid().amax(-1)
    told = torch.maximum(sure, student.classes.detach().sigmoid().amax(-1)) >= SURE
    pairs = [_there_or_not(points.classes[told]) for points in (student, teacher)]
    classes = distance(*pairs) * len(pairs[0]) if len(pairs[0]) else student.classes.sum() * 0
    scale = (student.strides / teacher.strides)[:, None]
    missed = 1 - giou(student.boxes, teacher.boxes * scale)
    weights = torch.where(told, sure, 0.0)
    return (classes + (weights * missed).sum()) / weights.sum().clamp(min=1)


def _there_or_not(logits: Tensor) -> Tensor:
    """(k, C) -> (k C, 2): each class beside the logit 0 of its absence."""
    flat = logits.reshape(-1)
    return torch.stack([flat, torch.zeros_like(flat)], 1)


def other_points(student: tuple[int, ...], teacher: tuple[int, ...]) -> InvalidConfig:
    """The refusal of a student whose points are not its teacher's."""
    return InvalidConfig(
        f"Student and teacher do not answer for the same points: {student[0]} with {student[1] - BESIDE} classes and "
        f"{teacher[0]} with {teacher[1] - BESIDE}.",
        "Give both the same image_size and strides (option finest), or use a recipe that reads features alone.",
        {"student": list(student), "teacher": list(teacher)},
    )
