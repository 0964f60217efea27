"""The feature term: one student layer against one teacher layer, mean over the pairs (METHODS sections 2 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill import losses
from distill.errors import InvalidConfig
from distill.recipes._base import Setup
from distill.recipes._layout import CommonResolution, Layout, pool_map, pool_tokens


class Pair(nn.Module):
    """Makes one student and one teacher feature comparable: one row a sample in each of two matrices.

    For `mse` both are pooled to their common resolution and the student is projected to the teacher's channels. For
    losses without a projector each is pooled to at most `grid` x `grid` positions (`grid`^2 tokens) and flattened
    (**our choice**, so that n x d stays cheap whatever the resolution).
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], project: bool, grid: int) -> None:
        super().__init__()
        self.student, self.teacher = Layout(student), Layout(teacher)
        self.common = CommonResolution(self.student, self.teacher)
        self.project, self.grid = project, grid
        self.projector = self._projector() if project else nn.Identity()

    def _projector(self) -> nn.Module:
        """1x1 convolution, or linear over the channel axis of tokens; without bias."""
        if self.common.maps:
            return nn.Conv2d(self.student.channels, self.teacher.channels, 1, bias=False)
        return nn.Linear(self.student.channels, self.teacher.channels, bias=False)

    def pool_teacher(self, feature: Tensor) -> Tensor:
        """(n, *teacher shape) -> what is compared, at the loss's resolution."""
        return self.common.teacher(feature) if self.project else self._rows(feature, self.teacher)

    def forward(self, student: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(n, *student shape) and `pool_teacher`'s result -> (n, d_s), (n, d_t)."""
        if not self.project:
            return self._rows(student, self.student), target
        pooled, target = self.common.match(self.common.student(student), target)
        return self.projector(pooled).flatten(1), target.flatten(1)

    def _rows(self, feature: Tensor, own: Layout) -> Tensor:
        if own.is_map:
            return pool_map(own.as_map(feature), (self.grid, self.grid)).flatten(1)
        return pool_tokens(own.as_tokens(feature), self.grid**2).flatten(1)


class FeaturePairs(nn.Module):
    """L_feat = mean_i v_i * loss(proj_i(pool(F_s,i)), pool(F_t,i)) over the k pairs; v_i = 1 unless weighted.

    `normalise`: divide each target by its root mean square over the batch, so that layers of large scale do not
    drown the others (**our choice**; changes nothing for the scale-free losses). `weights`: v_i, one a pair.
    """

    def __init__(
        self, setup: Setup, loss: str, grid: int, normalise: bool = False, weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.loss = losses.get(loss)()
        self.normalise = normalise
        shapes = list(zip(setup.student_shapes, setup.teacher_shapes, strict=True))
        self.pairs = nn.ModuleList(Pair(s, t, self.loss.needs_projector, grid) for s, t in shapes)
        self.weights = _weights(weights, len(shapes))

    def pool_teacher(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Teacher features in pair order -> {"feature_0": ..., ...} at the loss's resolution."""
        return {f"feature_{i}": p.pool_teacher(f) for i, (p, f) in enumerate(zip(self.pairs, features, strict=True))}  # type: ignore[operator]

    def forward(self, features: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Student features in pair order and the teacher's targets -> scalar L_feat."""
        terms = [self._term(i, feature, targets[f"feature_{i}"]) for i, feature in enumerate(features)]
        return torch.stack([v * term for v, term in zip(self.weights, terms, strict=True)]).mean()

    def _term(self, i: int, feature: Tensor, target: Tensor) -> Tensor:
        student, teacher = self.pairs[i](feature, target)
        if self.normalise:
            teacher = teacher.float()
            teacher = teacher * teacher.square().mean().clamp(min=1e-12).rsqrt()
        term: Tensor = self.loss(student, teacher)
        return term


def _weights(weights: Sequence[float] | None, pairs: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * pairs
    if len(weights) != pairs:
        raise InvalidConfig(
            f"layer_weights has {len(weights)} values for {pairs} pairs.",
            "Give one weight a pair, in depth order, or none.",
            {"layer_weights": len(weights), "pairs": pairs},
        )
    return tuple(weights)
