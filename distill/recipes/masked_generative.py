"""The student generates the teacher's whole map from a part of its own: masked generation, plus labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import CommonResolution
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "generation_weight": {
        "type": "number",
        "minimum": 0,
        "default": 2e-5,
        "description": "Weight of the squared error, summed over channels and positions.",
    },
    "masked": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.65,
        "description": "Share of the positions of the student's map that are hidden, anew at each step.",
    },
    **LABEL_WEIGHT,
}


class MaskedGenerative(LabelledFeatures):
    """L = cross_entropy_weight * CE + generation_weight * sum over pairs 1/n sum (G(M * a(F_s)) - F_t)^2: masked
    generative distillation (Yang et al. 2022, arXiv 2205.01529, equations 3, 4).

    a: a 1x1 convolution to the teacher's channels where they differ; M (n, 1, h, w): 0 at a random share `masked` of
    the positions, 1 elsewhere; G: 3x3 convolution, ReLU, 3x3 convolution of the teacher's channels. The sum runs over
    samples, channels and positions, n counts samples. Maps meet at the smaller size. a and G are dropped at the end.

    Defaults: those for one-stage detectors in the authors' yzd-v/MGD (`FeatureLoss`: alpha 2e-5, lambda 0.65), with
    which the term agrees for maps of one size. **Our choices**: tokens have 3-wide convolutions along their line; in
    eval mode nothing is hidden.
    """

    needs_maps: ClassVar[bool] = True
    term_name: ClassVar[str] = "generation"

    @validated(PARAMETERS)
    def __init__(
        self, setup: Setup, generation_weight: float = 2e-5, masked: float = 0.65, cross_entropy_weight: float = 1.0
    ) -> None:
        super().__init__(setup, generation_weight, cross_entropy_weight)
        self.generators = nn.ModuleList(Generator(resolution, masked) for resolution in self.resolutions)

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        pairs = zip(self.generators, self.pooled(features, kept), strict=True)
        return torch.stack([generate.error(*pair) for generate, pair in pairs]).sum()  # type: ignore[operator]


class Generator(nn.Module):
    """A masked student feature as the teacher's, both in canonical form: (n, c, h, w), or tokens (n, t, c)."""

    def __init__(self, resolution: CommonResolution, masked: float) -> None:
        super().__init__()
        self.maps, self.masked = resolution.maps, masked
        c_s, c_t = resolution.student_layout.channels, resolution.teacher_layout.channels
        convolution = nn.Conv2d if self.maps else nn.Conv1d
        self.align = nn.Identity() if c_s == c_t else convolution(c_s, c_t, 1)
        self.generation = nn.Sequential(
            convolution(c_t, c_t, 3, padding=1), nn.ReLU(inplace=True), convolution(c_t, c_t, 3, padding=1)
        )

    def forward(self, student: Tensor) -> Tensor:
        """Channels first."""
        aligned = self.align(student)
        if self.training:
            places = torch.rand(len(aligned), 1, *aligned.shape[2:], device=aligned.device)
            aligned = aligned * (places >= self.masked)
        generated: Tensor = self.generation(aligned)
        return generated

    def error(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Squared error in fp32, summed over channels and positions, the mean over samples."""
        if not self.maps:
            student, teacher = student.movedim(-1, 1), teacher.movedim(-1, 1)
        gap: Tensor = self(student).float() - teacher.float()
        return gap.square().sum() / len(gap)


ENTRY = MaskedGenerative
