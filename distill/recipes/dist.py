"""Distillation from a stronger teacher: keep its ranking, of a sample's classes and of a class's samples."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from distill import processes
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.schema import LABEL_WEIGHT, SOFTENING
from distill.recipes.logit import Logit

PARAMETERS: dict[str, dict[str, Any]] = {
    "inter_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "beta: weight of the correlation over each answer's classes.",
    },
    "intra_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "gamma: weight of the correlation over each class's answers in the batch.",
    },
    **SOFTENING,
    **LABEL_WEIGHT,
}
EPSILON = 1e-8


class DIST(Logit):
    """L = cross_entropy_weight * CE + T^2 (beta (1 - mean_i r(s_i., t_i.)) + gamma (1 - mean_c r(s_.c, t_.c))): DIST
    (Huang et al., NeurIPS 2022, arXiv 2205.10536, equations 8 to 10).

    s, t: softmax(logits / T), (n, C); r: Pearson's correlation, <a, b> / (norm(a) norm(b) + 1e-8) of centred a, b, over
    a row (inter: an answer's classes) or a column (intra: a class's answers in the batch). Each part in [0, 2] T^2.
    Rows are samples; of decoders the answers' tokens, of masks the labelled pixels. A constant row or column has r = 0.
    The second part compares the answers of a batch, those of all processes: gradient accumulation sees a part of it.

    Defaults: beta 1, gamma 1, T 1 as in the authors' code (hunto/image_classification_sota,
    `lib/models/losses/dist_kd.py`; hunto/DIST_KD, `segmentation/losses/dist_kd.py`, which treats pixels as rows too).
    T^2 is that of Hao840/OFAKD's version (`distillers/dist.py`); the authors' code knows T = 1 alone.
    """

    compares_samples: ClassVar[bool] = True
    one_class: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        inter_weight: float = 1.0,
        intra_weight: float = 1.0,
        temperature: float = 1.0,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, temperature=temperature, cross_entropy_weight=cross_entropy_weight)
        self.inter_weight, self.intra_weight = inter_weight, intra_weight

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        s, t = ((logits.float() / self.temperature).softmax(1) for logits in (student, teacher))
        columns = processes.whole(s).T, processes.whole(t).T
        inter, intra = (1 - correlations(a, b).mean() for a, b in ((s, t), columns))
        return self.temperature**2 * (self.inter_weight * inter + self.intra_weight * intra)


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """(n,) Pearson's correlation of the rows of (n, d), 0 where one is constant."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    sizes: Tensor = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    return (a * b).sum(1) / (sizes + EPSILON)


ENTRY = DIST
