"""The student shall see the objects as the teacher does, and how they stand to the whole picture; plus labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import Regions
from distill.errors import InvalidConfig
from distill.objectives.masks import background_shares, region_shares
from distill.parameters import validated
from distill.recipe_parts.base import Setup, Shape
from distill.recipe_parts.context_block import ContextBlock
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.schema import LABEL_WEIGHT

TEMPERATURE = 0.5
"""T of both attentions, in the paper and in its code for every detector."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "foreground_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1e-3,
        "description": "a: squared error within the objects' boxes.",
    },
    "background_weight": {
        "type": "number",
        "minimum": 0,
        "default": 5e-4,
        "description": "b: squared error outside of them.",
    },
    "attention_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1e-3,
        "description": "g: difference of the spatial and channel attentions.",
    },
    "relation_weight": {
        "type": "number",
        "minimum": 0,
        "default": 5e-6,
        "description": "l: squared error of the maps with their global context.",
    },
    **LABEL_WEIGHT,
}


class FocalGlobal(LabelledFeatures):
    """L = cross_entropy_weight * CE + sum over pairs ( a L_fg + b L_bg + g L_at + l L_global ): focal and global
    knowledge distillation (Yang et al. 2022, arXiv 2111.11837). Student and teacher meet at the smaller size, the
    student after a 1x1 convolution where the channels differ. With n samples, c channels, h x w cells

        G(F) (n, h, w) = mean_c |F|,  A_S(F) = h w softmax(G / T),  A_C(F) (n, c) = c softmax(mean_hw |F| / T),  T = 0.5
        L_fg = 1/n sum M A_S(F_t) A_C(F_t) (F_t - F_s)^2;  L_bg likewise with the background's mask
        M: 1 / (cells of the box) in each box, of several the largest; background: 1 / (its cells) outside of all
        L_at = 1/n sum |A_S(F_t) - A_S(F_s)| + 1/n sum |A_C(F_t) - A_C(F_s)|
        L_global = 1/n sum (R_t(F_t) - R_s(F_s))^2,  R: a context block (`distill.recipe_parts.context_block`) each

    All terms are sums over channels and cells, and >= 0. Context blocks and convolution are trained with the student
    and dropped at the end. A box's cells reach from floor of its upper left to ceil of its lower right, both included.

    Defaults: those of the authors' yzd-v/FGD (`FeatureLoss`), with which the terms agree on maps of one size. **Our
    choices**: rows of a mask are y, where the authors' code indexes rows by x; ignored boxes are neither object nor
    background. Raises `InvalidConfig` for labels without places, and for layers that are no maps.
    """

    needs_maps: ClassVar[bool] = True
    needs_regions: ClassVar[bool] = True
    term_name: ClassVar[str] = "focal_global"

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        foreground_weight: float = 1e-3,
        background_weight: float = 5e-4,
        attention_weight: float = 1e-3,
        relation_weight: float = 5e-6,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, 1.0, cross_entropy_weight)
        self.weights = (foreground_weight, background_weight, attention_weight, relation_weight)
        self.check_pairs({}, setup.student_shapes, setup.teacher_shapes)
        self.levels = nn.ModuleList(FocalLevel(resolution) for resolution in self.resolutions)

    @classmethod
    def check_pairs(
        cls, parameters: Mapping[str, Any], student: Sequence[Shape], teacher: Sequence[Shape] | None
    ) -> None:
        flat = [list(shape) for shape in [*student, *(teacher or ())] if not Layout(shape).is_map]
        if flat:
            raise InvalidConfig(
                f"focal_global compares maps, and a chosen layer gives {flat[0]}.",
                "Name layers that keep height and width, for example the levels of a pyramid one by one "
                "(pyramid.smooth.0, pyramid.smooth.1, ... of retort:fcos).",
                {"shapes": flat},
            )

    def term_of(
        self, features: Sequence[Tensor], targets: dict[str, Tensor], student_input: Any, labels: Tensor
    ) -> Tensor:
        regions = self.answer.regions(labels, tuple(student_input.shape[-2:]))
        kept = [targets[f"feature_{i}"] for i in range(len(features))]
        pairs = zip(self.levels, self.pooled(features, kept), strict=True)
        terms = torch.stack([torch.stack(level(*pair, regions)) for level, pair in pairs]).sum(0)
        return (terms * terms.new_tensor(self.weights)).sum()


class FocalLevel(nn.Module):
    """The four terms of one pair of maps (n, c_s, h, w) and (n, c_t, h, w), in fp32."""

    def __init__(self, resolution: CommonResolution) -> None:
        super().__init__()
        c_s, c_t = resolution.student_layout.channels, resolution.teacher_layout.channels
        self.align = nn.Identity() if c_s == c_t else nn.Conv2d(c_s, c_t, 1)
        self.student_context, self.teacher_context = ContextBlock(c_t), ContextBlock(c_t)

    def forward(self, student: Tensor, teacher: Tensor, regions: Regions) -> list[Tensor]:
        aligned, count = self.align(student), len(student)
        relation = self.teacher_context(teacher) - self.student_context(aligned)
        student, teacher = aligned.float(), teacher.float()
        error = (teacher - student).square()
        where, which = attention(teacher)
        weighed = (error * which[:, :, None, None]).sum(1) * where  # (n, h, w)
        inside = region_shares(regions, weighed.shape[1:])
        outside = background_shares(regions, weighed.shape[1:])
        own_where, own_which = attention(student)
        gaps = (where - own_where).abs().sum() + (which - own_which).abs().sum()
        terms = [(weighed * inside).sum(), (weighed * outside).sum(), gaps, relation.float().square().sum()]
        return [term / count for term in terms]


def attention(feature: Tensor, temperature: float = TEMPERATURE) -> tuple[Tensor, Tensor]:
    """A_S (n, h, w) and A_C (n, c) of maps (n, c, h, w): sums h w and c a sample."""
    n, c, h, w = feature.shape
    strength = feature.abs()
    where = h * w * F.softmax(strength.mean(1).flatten(1) / temperature, 1).view(n, h, w)
    return where, c * F.softmax(strength.mean((2, 3)) / temperature, 1)


ENTRY = FocalGlobal
