"""Contrast: the student's embedding of a sample shall tell the teacher's of it from those of thousands of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.objectives.full_precision import without_autocast
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.memory import Memory
from distill.recipe_parts.relational import DeepestRows
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "contrast_weight": {
        "type": "number",
        "minimum": 0,
        "default": 0.8,
        "description": "Weight of the contrastive term.",
    },
    "negatives": {
        "type": "integer",
        "minimum": 1,
        "maximum": 65536,
        "default": 16384,
        "description": "Other samples that each sample is told from, drawn with repetition.",
    },
    "width": {
        "type": "integer",
        "minimum": 1,
        "maximum": 4096,
        "default": 128,
        "description": "Width of the embeddings that are compared and remembered.",
    },
    "temperature": {
        "type": "number",
        "minimum": 0.02,
        "default": 0.07,
        "description": "T by which the embeddings' cosines are divided.",
    },
    "momentum": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
        "description": "Share of the old embedding that the memory keeps when it sees a sample again.",
    },
    **LABEL_WEIGHT,
}
EPSILON = 1e-7


class CRD(DeepestRows):
    """L = cross_entropy_weight * CE + contrast_weight * (C(s, bank_t) + C(t, bank_s)): contrastive representation
    distillation (Tian et al., ICLR 2020, arXiv 1910.10699, equations 10 and 18).

    C(v, bank) = - mean_i ( ln (p_i0 / (p_i0 + m / N)) + sum_k ln ((m / N) / (p_ik + m / N)) ),
    p_ik = exp(<v_i, b_ik> / T) / Z

    s, t: a linear map of the deepest pair's features, averaged over their positions, to norm 1, (n, d); b_i0: what the
    other network's bank remembers of sample i, b_i1 ... b_im of `negatives` drawn of all N training samples; Z: N times
    the mean of exp in the first step. >= 0. After each step, also of accumulated batches, the banks' rows of the batch
    move to the newest embeddings. Cost: the (n, N) cosines with both banks.

    Banks (2 N d values, 51 MB for 50,000 samples) and Z are part of the checkpoint; a resumed run continues bit for
    bit. Of several processes all remember the samples of all, so that their banks are the same; the negatives of a
    sample and Z are not those of one process alone. Augmentation is fine: what is remembered is the newest view.

    Defaults: weight 0.8, 16,384 negatives, d 128, T 0.07, momentum 0.5, as in HobbitLong/RepDistiller
    (`train_student.py`, `scripts/run_cifar_distill.sh`; `crd/criterion.py`, `crd/memory.py`, 1e-7 in the quotients
    included). **Our choices**: negatives are drawn as its code does where none are given, of all samples with
    repetition, those of the same class and the sample itself not left out (its loader draws other classes); rows that
    are remembered are gathered from all cosines, which gives the same numbers in less memory. Raises `InvalidConfig`
    without `indices` in the set-up.
    """

    needs_index: ClassVar[bool] = True
    compares_samples: ClassVar[bool] = True
    remembers: ClassVar[dict[str, int]] = {"width": 2}
    term_name: ClassVar[str] = "contrast"

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        contrast_weight: float = 0.8,
        negatives: int = 16384,
        width: int = 128,
        temperature: float = 0.07,
        momentum: float = 0.5,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, contrast_weight, cross_entropy_weight)
        if not len(setup.indices):
            raise InvalidConfig("crd remembers every training sample.", "Set `indices` in the set-up.")
        self.negatives, self.temperature = negatives, temperature
        self.student_embedding = nn.Linear(self.student_layout.channels, width)
        self.teacher_embedding = nn.Linear(self.teacher_layout.channels, width)
        self.student_memory, self.teacher_memory = (Memory(setup.indices, width, momentum) for _ in "st")

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        rows, index = self.rows(features), targets["index"]
        with without_autocast(rows.device):
            s = F.normalize(self.student_embedding(rows.float()))
            t = F.normalize(self.teacher_embedding(kept[0].float()))
            picked = self._picked(index)
            term = self._contrast(s, self.teacher_memory, picked) + self._contrast(t, self.student_memory, picked)
        if self.training:
            self.student_memory.remember(index, s)
            self.teacher_memory.remember(index, t)
        return term

    def _picked(self, index: Tensor) -> Tensor:
        """(n, 1 + negatives) rows of the banks: each sample's own, then others."""
        count = len(self.student_memory)
        others = torch.randint(count, (len(index), self.negatives), device=index.device)
        return torch.cat([self.student_memory.rows(index)[:, None], others], 1)

    def _contrast(self, embedded: Tensor, memory: Memory, picked: Tensor) -> Tensor:
        return contrast(memory.probabilities(embedded, picked, self.temperature), len(memory))


def contrast(probabilities: Tensor, samples: int) -> Tensor:
    """The loss of noise-contrastive estimation: (n, 1 + m) probabilities, the first of the positive, m noise samples
    drawn evenly of N = `samples`."""
    noise = (probabilities.shape[1] - 1) / samples
    positive, negative = probabilities[:, 0], probabilities[:, 1:]
    found = (positive / (positive + noise + EPSILON)).log()
    told_apart = (noise / (negative + noise + EPSILON)).log().sum(1)
    return -(found + told_apart).mean()


ENTRY = CRD
