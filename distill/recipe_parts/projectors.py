"""Trainable bridges between networks: the three-layer projector, and connectors that fit a teacher's own input."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distill.recipe_parts.layout import Layout, pool_map, pool_tokens


def three_layers(c_in: int, c_out: int, inner: int, maps: bool) -> nn.Sequential:
    """1x1, 3x3, 1x1 convolutions with BN and ReLU between, none with a bias, (n, c_in, h, w) -> (n, c_out, h, w); for
    tokens three linear maps with LayerNorm and GELU between, (n, t, c_in) -> (n, t, c_out), which is **our choice**.
    """
    if maps:
        return nn.Sequential(
            *(nn.Conv2d(c_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()),
            *(nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()),
            nn.Conv2d(inner, c_out, 1, bias=False),
        )
    return nn.Sequential(
        *(nn.Linear(c_in, inner), nn.LayerNorm(inner), nn.GELU()),
        *(nn.Linear(inner, inner), nn.LayerNorm(inner), nn.GELU()),
        nn.Linear(inner, c_out),
    )


class Connector(nn.Module):
    """A student feature (n, *student) in exactly the form of the teacher's (n, *teacher), docs/methods.md, section 5.

    Resized to the teacher's resolution, then 3x3 convolution + BN + ReLU; where the teacher's feature is no map,
    linear + LayerNorm. **Our choices**: resizing averages down and repeats up; tokens for a map are first resized in
    number to its h * w positions; a batch without a spread (one value a channel) is not supported by BN.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__()
        self.student, self.teacher = Layout(student), Layout(teacher)
        c_in, c_out = self.student.channels, self.teacher.channels
        if self.teacher.is_map:
            layers: list[nn.Module] = [
                nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(),
            ]
        else:
            layers = [nn.Linear(c_in, c_out), nn.LayerNorm(c_out)]
        self.layers = nn.Sequential(*layers)

    def forward(self, feature: Tensor) -> Tensor:
        return self.teacher.restore(self.layers(resize(feature, self.student, self.teacher)))


class SequenceConnector(nn.Sequential):
    """A student's tokens (n, t, c_s) as the teacher's (n, t, c_t), any t: linear + LayerNorm.

    docs/methods.md, section 5.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__(nn.Linear(student[-1], teacher[-1]), nn.LayerNorm(teacher[-1]))


def resize(feature: Tensor, own: Layout, other: Layout) -> Tensor:
    """(n, *own shape) -> canonical form and resolution of `other`, with `own` channels: (n, c, h, w) or (n, t, c)."""
    if other.is_map and own.is_map:
        return _resize_map(own.as_map(feature), other.size)
    tokens = _resize_tokens(own.as_tokens(feature), other.tokens)
    return tokens.movedim(-1, 1).reshape(tokens.shape[0], -1, *other.size) if other.is_map else tokens


def _resize_map(feature: Tensor, size: tuple[int, ...]) -> Tensor:
    feature = pool_map(feature, size)
    return feature if tuple(feature.shape[2:]) == size else F.interpolate(feature, size=size, mode="nearest")


def _resize_tokens(feature: Tensor, count: int) -> Tensor:
    feature = pool_tokens(feature, count)
    if feature.shape[1] == count:
        return feature
    return F.interpolate(feature.movedim(1, -1), size=count, mode="nearest").movedim(-1, 1)
