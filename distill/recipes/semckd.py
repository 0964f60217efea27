"""Attention decides, sample by sample, which teacher layers each student layer learns from."""

from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import losses
from distill.objectives.logits import soft_divergence
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import FeatureRecipe
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.pairs import check_positions, compared_rows
from distill.recipe_parts.projectors import three_layers
from distill.recipe_parts.schema import FEATURE_LOSS, FEATURE_WEIGHT, GRID, LABEL_WEIGHT, LOGIT_WEIGHT, TEMPERATURE

PARAMETERS: dict[str, dict[str, Any]] = {
    **FEATURE_LOSS,
    **FEATURE_WEIGHT,
    **LABEL_WEIGHT,
    **LOGIT_WEIGHT,
    **TEMPERATURE,
    "attention_width": {
        "type": "integer",
        "minimum": 1,
        "maximum": 4096,
        "default": 128,
        "description": "Width of the queries and keys.",
    },
    **GRID,
}


class SemCKD(FeatureRecipe):
    """L = cross_entropy_weight * CE + logit_weight * T^2 KL
         + feature_weight * mean_{i, s} sum_t a_ist * mean (proj_st(pool(F_s)) - pool(F_t))^2_i

    over samples i, student layers s and all teacher layers t; a_is. = softmax_t <q_is, k_it>, in which q and k are
    linear-ReLU-linear (inner width 2 `attention_width`) and then divided by their Euclidean norm; one projector for
    each (s, t), of three layers and inner width 2 c_t. So far as published (Chen et al., AAAI 2021, and the authors'
    code, DefangChen/SemCKD). **Our choices**: queries and keys see features averaged over their positions; the authors
    give them rows of the batch's similarity matrix F F^T, which ties the width of their first layer to the batch size,
    so that no smaller batch and no other number of processes could go on with it. Tokens have projectors of linear
    maps. All weights are 1: the authors' 400 for the features drowns the labels under our optimiser
    (docs/evidence/images.md).
    """

    features_alone: ClassVar[dict[str, Any]] = {"logit_weight": 0}

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        feature_loss: str = "mse",
        feature_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        logit_weight: float = 1.0,
        temperature: float = 4.0,
        attention_width: int = 128,
        grid: int = 2,
    ) -> None:
        super().__init__(setup)
        self.loss, self.grid = losses.get(feature_loss)(), grid
        self.feature_weight, self.cross_entropy_weight = feature_weight, cross_entropy_weight
        self.logit_weight, self.temperature = logit_weight, temperature
        students, self._teachers = _layouts(setup.student_shapes), _layouts(setup.teacher_shapes)
        canonical = [teacher.canonical for teacher in self._teachers]
        self._resolutions = [[CommonResolution(s, t) for t in canonical] for s in students]
        for resolution in chain.from_iterable(self._resolutions):
            check_positions(self.loss, resolution)
        self._keep = [_largest([row[t] for row in self._resolutions]) for t in range(len(canonical))]
        rows = self._resolutions if self.loss.needs_projector else []
        self.projectors = nn.ModuleList(nn.ModuleList(map(_projector, row)) for row in rows)
        self.queries = nn.ModuleList(_embedding(s.channels, attention_width) for s in students)
        self.keys = nn.ModuleList(_embedding(t.channels, attention_width) for t in canonical)
        self._students = students

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, logits = self._teacher_pass(teacher_input, logits=self.logit_weight > 0)
        stored = zip(self._keep, self._teachers, features, strict=True)
        return {f"feature_{i}": keep.teacher(t.canonise(f)) for i, (keep, t, f) in enumerate(stored)} | logits

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        students, logits = self._student_pass(student_input)
        teachers = [targets[f"feature_{i}"].float() for i in range(len(self._teachers))]
        gaps = torch.stack(
            [torch.stack([self._gap(s, t, f, g) for t, g in enumerate(teachers)], 1) for s, f in enumerate(students)], 1
        )  # (n, student layers, teacher layers)
        feature = (self.attention(students, teachers) * gaps).sum(2).mean()
        compared = self.answer.compare(logits, labels, targets)
        own = self.answer.loss(compared)
        terms = {"feature": feature, self.answer.loss_name: own}
        loss = self.feature_weight * feature + self.cross_entropy_weight * own
        if self.logit_weight > 0:
            terms["logit"] = self.answer.divergence(compared, self._divergence)
            loss = loss + self.logit_weight * terms["logit"]
        return self.parts(loss, compared, **terms)

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        return soft_divergence(student, teacher, self.temperature)

    def attention(self, students: list[Tensor], teachers: list[Tensor]) -> Tensor:
        """(n, student layers, teacher layers) weights; each row over the teacher layers sums to 1."""
        means = [_mean(s.canonise(f), s.is_map) for s, f in zip(self._students, students, strict=True)]
        queries = torch.stack([q(m) for q, m in zip(self.queries, means, strict=True)], 1)
        targets = [_mean(f, t.is_map) for t, f in zip(self._teachers, teachers, strict=True)]
        keys = torch.stack([k(m.to(queries.dtype)) for k, m in zip(self.keys, targets, strict=True)], 1)
        queries, keys = F.normalize(queries.float(), dim=-1), F.normalize(keys.float(), dim=-1)
        return (queries @ keys.transpose(1, 2)).softmax(-1)

    def _gap(self, s: int, t: int, student: Tensor, teacher: Tensor) -> Tensor:
        """(n,) how far one student layer is from one teacher layer: each sample's mean squared error, or the batch's
        one value for losses that compare whole batches."""
        resolution = self._resolutions[s][t]
        own, target = resolution.match(resolution.student(student), resolution.teacher(teacher))
        if self.loss.needs_projector:
            own = self.projectors[s][t](own)  # type: ignore[index]
        if isinstance(self.loss, losses.get("mse")):
            return (own.float() - target.float()).square().flatten(1).mean(1)
        value: Tensor = self.loss(*compared_rows(self.loss, own, target, self.grid))
        return value.expand(len(own))


def _layouts(shapes: tuple[tuple[int, ...], ...]) -> list[Layout]:
    return [Layout(shape) for shape in shapes]


def _projector(resolution: CommonResolution) -> nn.Module:
    c_s, c_t = resolution.student_layout.channels, resolution.teacher_layout.channels
    return three_layers(c_s, c_t, 2 * c_t, resolution.maps)


def _embedding(channels: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(channels, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def _largest(resolutions: list[CommonResolution]) -> CommonResolution:
    """The one at which the teacher layer must be kept to serve all students; a pair of maps only if all are, since
    positions pooled as tokens cannot be taken from a pooled map."""
    teacher = resolutions[0].teacher_layout
    if not all(r.maps for r in resolutions):
        return CommonResolution(teacher, teacher)
    size = [max(r.size[axis] for r in resolutions) for axis in (0, 1)]
    return CommonResolution(Layout((1, *size), channels_first=True), teacher)


def _mean(feature: Tensor, is_map: bool) -> Tensor:
    """(n, c): the canonical feature averaged over its positions."""
    return feature.mean((2, 3) if is_map else 1)


ENTRY = SemCKD
