"""Average precision of scores for one class each, of all samples and of weighted ones."""

from __future__ import annotations

import torch
from torch import Tensor


class Ranking:
    """One class's n samples in the order of their scores, so that average precision of many weightings is cheap.

        AP = sum_t (R_t - R_{t-1}) P_t

    over the different scores t from the highest: P_t and R_t are precision and recall of the samples that score at
    least t. That is scikit-learn's `average_precision_score`: no interpolation, samples of one score count together.
    `scores` (n,), `positive` (n,) bool."""

    def __init__(self, scores: Tensor, positive: Tensor) -> None:
        ordered, self.order = scores.double().sort(descending=True, stable=True)
        self.positive = positive[self.order].double()
        last = torch.ones(len(ordered), dtype=torch.bool)
        last[:-1] = ordered[:-1] != ordered[1:]
        self.ends = last.nonzero()[:, 0]  # the last sample of each score

    def average_precision(self, weights: Tensor) -> Tensor:
        """Weights (r, n) float64 >= 0 of the samples -> (r,) float64 in [0, 1]; NaN where no positive weighs
        anything."""
        ranked = weights[:, self.order]
        return of_counts((ranked * self.positive).cumsum(1)[:, self.ends], ranked.cumsum(1)[:, self.ends])


def of_counts(hits: Tensor, said: Tensor) -> Tensor:
    """Average precision from what thresholds t = 1..T from the highest let through: `said` (..., T) samples, of which
    `hits` (..., T) have the class -> (...,); NaN without a positive."""
    total = hits[..., -1:]
    steps = hits.diff(dim=-1, prepend=torch.zeros_like(total))
    precision = hits / said.clamp(min=torch.finfo(torch.double).tiny)
    return torch.where(total[..., 0] > 0, (steps * precision).sum(-1) / total[..., 0], torch.nan)


def macro(values: Tensor) -> Tensor:
    """(..., C) -> (...): the mean over the classes that have a value; 0 where none has."""
    return values.nanmean(-1).nan_to_num(0.0)
