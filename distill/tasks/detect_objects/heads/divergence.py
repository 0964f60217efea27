"""How far a detector's classes and boxes are from a teacher's that answers at the same places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.answers import Distance
from distill.errors import InvalidConfig
from distill.tasks.detect_objects.geometry import giou

SURE = 0.05
"""p(class) from which on a network says something of a place: only there the teacher's logits are compared."""


@dataclass(frozen=True)
class Said:
    """Of one image: class logits (P, C), p(class) (P, C) and boxes (P, 4) in pixels of the student's input."""

    logits: Tensor
    p: Tensor
    boxes: Tensor


def divergence(student: Said, teacher: Said, distance: Distance, choices: Callable[[Tensor], Tensor]) -> Tensor:
    """Scalar, of one image:

        sum_places d( choices(z_s), choices(z_t) ) / N + sum_places w (1 - GIoU(box_s, box_t)) / N

    over the places where one of both networks says p(class) >= 0.05; w: the teacher's largest p(class) there; N: the
    sum of w, at least 1; d: the recipe's distance, a mean over rows; `choices`: (k, C) logits -> (rows, c), each row a
    softmax of its own. Boxes by IoU with the teacher's confidence as weight are those of BCKD (arXiv 2308.14286).
    **Our choices**: the threshold, N, and GIoU in place of IoU; no further weight by |p_t - p_s|."""
    sure = teacher.p.amax(-1)
    told = torch.maximum(sure, student.p.detach().amax(-1)) >= SURE
    pairs = [choices(said.logits[told]) for said in (student, teacher)]
    classes = distance(*pairs) * len(pairs[0]) if len(pairs[0]) else student.logits.sum() * 0
    missed = 1 - giou(student.boxes, teacher.boxes)
    weights = torch.where(told, sure, 0.0)
    return (classes + (weights * missed).sum()) / weights.sum().clamp(min=1)


def pairs_of(outputs: Tensor, targets: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each image the student's rows and the teacher's, in fp32. Raises `InvalidConfig` for rows of other places."""
    taught = targets["logits"]
    if outputs.shape != taught.shape:
        raise InvalidConfig(
            f"Student and teacher do not answer at the same places: {list(outputs.shape[1:])} and "
            f"{list(taught.shape[1:])} (places, columns).",
            "Give both the same image_size and strides (option finest), or use a recipe that reads features alone.",
            {"student": list(outputs.shape[1:]), "teacher": list(taught.shape[1:])},
        )
    yield from zip(outputs.float(), taught.float(), strict=True)


def there_or_not(logits: Tensor) -> Tensor:
    """(k, C) logits of a sigmoid each -> (k C, 2): each class beside the logit 0 of its absence. A softmax over two
    logits (z, 0) is (sigmoid(z), 1 - sigmoid(z))."""
    flat = logits.reshape(-1)
    return torch.stack([flat, torch.zeros_like(flat)], 1)


def with_background(logits: Tensor) -> Tensor:
    """(..., C) logits less the background's -> (..., 1 + C): those of the softmax, the background first."""
    return torch.cat([torch.zeros_like(logits[..., :1]), logits], -1)
