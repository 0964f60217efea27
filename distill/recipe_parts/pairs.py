"""The feature term: one student layer against one teacher layer, mean over the pairs.

Sections 2 and 4 of docs/methods.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill import losses, processes
from distill.errors import InvalidConfig
from distill.objectives.features import FeatureLoss
from distill.recipe_parts.base import Setup
from distill.recipe_parts.layout import CommonResolution, Layout, grid_rows


class Pair(nn.Module):
    """Makes one student and one teacher feature comparable: one row a sample in each of two matrices.

    For `mse` both are pooled to their common resolution and the student is projected to the teacher's channels; for
    losses without a projector each becomes `grid_rows`. A loss `by_channel` gets one row a channel of a sample,
    or of all samples.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], loss: FeatureLoss, grid: int) -> None:
        super().__init__()
        self.student, self.teacher = Layout(student), Layout(teacher)
        self.common = CommonResolution(self.student, self.teacher)
        check_positions(loss, self.common)
        project = loss.needs_projector
        self.project, self.grid = project, grid
        self.by_channel, self.over_batch = loss.by_channel, loss.over_batch
        self.same_width = project and self.student.channels == self.teacher.channels
        self.projector = self._projector() if project else nn.Identity()

    def _projector(self) -> nn.Module:
        """1x1 convolution, or linear over the channel axis of tokens; without bias.

        **Our choice**: the identity at first where the widths agree. A student that begins with its teacher's weights
        then begins without a feature loss; a random projector would tear them apart (docs/evidence/text.md).
        """
        c_in, c_out = self.student.channels, self.teacher.channels
        layer = nn.Conv2d(c_in, c_out, 1, bias=False) if self.common.maps else nn.Linear(c_in, c_out, bias=False)
        if self.same_width:
            with torch.no_grad():
                layer.weight.copy_(torch.eye(c_in).view_as(layer.weight))
        return layer

    def pool_teacher(self, feature: Tensor) -> Tensor:
        """(n, *teacher shape) -> what is compared, at the loss's resolution."""
        return self.common.teacher(feature) if self.project else grid_rows(self.teacher.canonise(feature), self.grid)

    def forward(self, student: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(n, *student shape) and `pool_teacher`'s result -> (n, d_s), (n, d_t)."""
        if not self.project:
            return grid_rows(self.student.canonise(student), self.grid), target
        pooled, target = self.common.match(self.common.student(student), target)
        projected = self.projector(pooled)
        if self.by_channel:
            return channel_rows(projected, self.over_batch), channel_rows(target, self.over_batch)
        return rows(projected, target)


def check_positions(loss: FeatureLoss, common: CommonResolution) -> None:
    """Raise `InvalidConfig` for a loss over the positions of a map where a pair of layers has but one."""
    if not loss.by_channel or math.prod(common.size) > 1:
        return
    student, teacher = list(common.student_layout.shape), list(common.teacher_layout.shape)
    raise InvalidConfig(
        f"{type(loss).__name__} compares the positions of maps, and a pair of layers has but one: {student} and "
        f"{teacher}.",
        "Choose layers that keep height and width (name them, or use another selection), or another feature loss.",
        {"student": student, "teacher": teacher},
    )


def compared_rows(loss: FeatureLoss, student: Tensor, target: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """A projected student feature and its target, of one shape where the loss needs a projector, as the matrices that
    the loss compares."""
    if loss.by_channel:
        return channel_rows(student, loss.over_batch), channel_rows(target, loss.over_batch)
    if loss.needs_projector:
        return student.flatten(1), target.flatten(1)
    return grid_rows(student, grid), grid_rows(target, grid)


def rows(student: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Two features of one shape as (n, d) each, elements in the same order: that in which the student's lie in memory,
    so that maps in channels_last are not copied."""
    if student.dim() == 4 and student.is_contiguous(memory_format=torch.channels_last):
        student, target = student.movedim(1, -1), target.movedim(1, -1)
    return student.flatten(1), target.flatten(1)


def channel_rows(canonical: Tensor, over_batch: bool = False) -> Tensor:
    """(n, c, h, w) or tokens (n, t, c) -> (n c, positions): one row a channel of a sample; `over_batch`: (c, n
    positions), one row a channel."""
    maps = canonical.flatten(2) if canonical.dim() == 4 else canonical.movedim(-1, 1)
    return maps.movedim(0, 1).flatten(1) if over_batch else maps.flatten(0, 1)


class FeaturePairs(nn.Module):
    """L_feat = mean_i v_i * ( loss_i + extra_weight * extra_i ) over the k pairs; v_i = 1 unless weighted. Of a set of
    teachers the weighted mean of theirs, each with its own k pairs.

    `schedule`: `constant`, or `deepest_last` (**our choice**): v_i of every pair but its teacher's deepest is
    multiplied by (1 + cos(pi t)) / 2, t in [0, 1) the share of the steps that is over, as `at` says before each. In
    eval mode no weight falls, so that losses on held-out samples compare over time.

    loss_i = loss(proj_i(pool(F_s,i)), pool(F_t,i)); `extra` names a second loss that joins the first, each with
    projectors of its own. `normalise`: divide each target by its root mean square over the batch, so that layers of
    large scale do not drown the others (**our choice**; changes nothing for the scale-free losses). Where the widths
    agree, and the projector begins as the identity, the student's feature is divided by the target's root mean square
    too: the same balance of layers, and a student that begins with its teacher's weights begins without a loss.
    """

    done: Tensor

    def __init__(
        self,
        setup: Setup,
        loss: str,
        grid: int,
        normalise: bool = False,
        weights: Sequence[float] | None = None,
        extra: str | None = None,
        extra_weight: float = 1.0,
        schedule: str = "constant",
    ) -> None:
        super().__init__()
        self.loss, self.extra_loss = losses.get(loss)(), losses.get(extra)() if extra else None
        self.normalise, self.extra_weight = normalise, extra_weight
        self.pairs = _pairs(setup, self.loss, grid)
        self.extra_pairs = _pairs(setup, self.extra_loss, grid) if self.extra_loss else nn.ModuleList()
        self.weights = _weights(weights, setup.shares)
        self.count = sum(setup.shares)
        self.fading = _fading(schedule, setup.shares)
        self.register_buffer("done", torch.zeros(()), persistent=False)

    def at(self, done: float) -> None:
        """Say which share of the training's steps is over."""
        if any(self.fading):
            self.done.fill_(done)

    @property
    def element_wise(self) -> bool:
        """Whether no loss compares rows with each other, so that their number costs no square."""
        return self.loss.needs_projector and (self.extra_loss is None or self.extra_loss.needs_projector)

    def pool_teacher(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Teacher features in pair order -> {"feature_0": ..., ...} at the loss's resolution ("extra_0" likewise)."""
        targets = _pooled("feature", self.pairs, features)
        return targets | (_pooled("extra", self.extra_pairs, features) if self.extra_loss else {})

    def forward(self, features: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Student features in pair order and the teacher's targets -> scalar L_feat."""
        terms = [self._term(i, feature, targets) for i, feature in enumerate(features)]
        return torch.stack([v * term for v, term in zip(self._now(), terms, strict=True)]).sum() / self.count

    def _now(self) -> Sequence[float | Tensor]:
        """The pairs' weights at this step; in eval mode those of the first, so that losses compare over time."""
        if not (self.training and any(self.fading)):
            return self.weights
        left = (1 + torch.cos(math.pi * self.done)) / 2
        return [v * left if fades else v for v, fades in zip(self.weights, self.fading, strict=True)]

    def _term(self, i: int, feature: Tensor, targets: dict[str, Tensor]) -> Tensor:
        term = self._compare(self.loss, self.pairs[i], feature, targets[f"feature_{i}"])
        if self.extra_loss is None:
            return term
        extra = self._compare(self.extra_loss, self.extra_pairs[i], feature, targets[f"extra_{i}"])
        return term + self.extra_weight * extra

    def _compare(self, loss: nn.Module, pair: nn.Module, feature: Tensor, target: Tensor) -> Tensor:
        student, teacher = pair(feature, target)
        if self.normalise:
            teacher = teacher.float()
            scale = processes.mean_of_whole(teacher.square()).clamp(min=1e-12).rsqrt()
            student, teacher = student * scale if pair.same_width else student, teacher * scale
        term: Tensor = loss(student, teacher)
        return term


def _fading(schedule: str, shares: Sequence[float]) -> tuple[bool, ...]:
    """Of each pair, whether its weight falls to 0: under `deepest_last` all but the deepest of each teacher."""
    pairs = round(sum(shares))
    return tuple(schedule == "deepest_last" and i % pairs < pairs - 1 for i in range(len(shares)))


def _pairs(setup: Setup, loss: FeatureLoss, grid: int) -> nn.ModuleList:
    shapes = zip(setup.student_shapes, setup.teacher_shapes, strict=True)
    return nn.ModuleList(Pair(s, t, loss, grid) for s, t in shapes)


def _pooled(prefix: str, pairs: nn.ModuleList, features: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}_{i}": p.pool_teacher(f) for i, (p, f) in enumerate(zip(pairs, features, strict=True))}  # type: ignore[operator]


def _weights(weights: Sequence[float] | None, shares: Sequence[float]) -> tuple[float, ...]:
    """Of each pair, its teacher's share and the weight of its depth, which is one for all teachers of a set."""
    if weights is None:
        return tuple(shares)
    pairs = round(sum(shares))
    if len(weights) != pairs:
        raise InvalidConfig(
            f"layer_weights has {len(weights)} values for {pairs} pairs.",
            "Give one weight a pair, in depth order, or none.",
            {"layer_weights": len(weights), "pairs": pairs},
        )
    return tuple(share * weight for share, weight in zip(shares, itertools.cycle(weights), strict=False))
