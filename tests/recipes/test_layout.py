"""Layouts: what an axis means, bringing features to two forms and back, pooling, projectors and connectors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from distill.recipe_parts.layout import CommonResolution, Layout, pool_map, pool_tokens
from distill.recipe_parts.projectors import Connector, resize, three_layers


@pytest.mark.parametrize(
    ("shape", "is_map", "channels", "size"),
    [
        ((64, 7, 7), True, 64, (7, 7)),
        ((7, 7, 96), True, 96, (7, 7)),
        ((1, 1, 96), True, 96, (1, 1)),
        ((1280, 1, 1), True, 1280, (1, 1)),
        ((8, 8, 8), True, 8, (8, 8)),
        ((64, 7, 5), True, 64, (7, 5)),
        ((197, 192), False, 192, (197,)),
        ((512,), False, 512, (1,)),
        ((16, 4, 7, 7), False, 16, (196,)),
    ],
)
def test_axes(shape: tuple[int, ...], is_map: bool, channels: int, size: tuple[int, ...]) -> None:
    layout = Layout(shape)
    assert (layout.is_map, layout.channels, layout.size) == (is_map, channels, size)
    feature = torch.randn(3, *shape)
    canonical = layout.canonise(feature)
    assert canonical.shape == ((3, channels, *size) if is_map else (3, *size, channels))
    assert tuple(canonical.shape[1:]) == layout.canonical.shape
    assert torch.equal(layout.canonical.canonise(canonical), canonical)
    assert torch.equal(layout.restore(canonical), feature)
    assert layout.as_tokens(feature).shape == (3, layout.tokens, channels)


def test_a_maps_tokens_are_its_positions_in_reading_order() -> None:
    feature = torch.randn(2, 5, 3, 3)
    tokens = Layout((5, 3, 3)).as_tokens(feature)
    torch.testing.assert_close(tokens[:, 4], feature[:, :, 1, 1])
    torch.testing.assert_close(Layout((3, 3, 5)).as_tokens(feature.permute(0, 2, 3, 1)), tokens)


def test_pooling_averages_and_never_enlarges() -> None:
    x = torch.randn(2, 4, 8, 6)
    torch.testing.assert_close(pool_map(x, (4, 3)), F.avg_pool2d(x, 2))
    assert pool_map(x, (16, 3)).shape == (2, 4, 8, 3)
    assert pool_map(x, (8, 6)) is x
    tokens = torch.randn(2, 6, 4)
    torch.testing.assert_close(pool_tokens(tokens, 3), tokens.reshape(2, 3, 2, 4).mean(2))
    assert pool_tokens(tokens, 7) is tokens


@pytest.mark.parametrize(
    ("student", "teacher", "expected_student", "expected_teacher"),
    [
        ((8, 4, 4), (16, 8, 8), (8, 4, 4), (16, 4, 4)),
        ((8, 8, 8), (4, 4, 16), (8, 4, 4), (16, 4, 4)),
        ((8, 4, 8), (16, 8, 4), (8, 4, 4), (16, 4, 4)),
        ((17, 8), (5, 16), (5, 8), (5, 16)),
        ((8, 4, 4), (5, 16), (5, 8), (5, 16)),
        ((5, 8), (16, 4, 4), (5, 8), (5, 16)),
        ((8,), (16, 4, 4), (1, 8), (1, 16)),
        ((8, 4, 4), (16,), (1, 8), (1, 16)),
    ],
)
def test_the_common_resolution_is_the_smaller(
    student: tuple[int, ...],
    teacher: tuple[int, ...],
    expected_student: tuple[int, ...],
    expected_teacher: tuple[int, ...],
) -> None:
    common = CommonResolution(Layout(student), Layout(teacher))
    assert tuple(common.student(torch.randn(3, *student)).shape[1:]) == expected_student
    assert tuple(common.teacher(torch.randn(3, *teacher)).shape[1:]) == expected_teacher


SHAPES = [(8, 4, 4), (4, 4, 8), (8, 2, 2), (8, 1, 1), (17, 8), (5, 8), (8,), (8, 2, 3, 3)]


@pytest.mark.parametrize("student", SHAPES)
@pytest.mark.parametrize("teacher", [(12, 4, 4), (4, 4, 12), (12, 2, 3), (9, 12), (12,), (12, 2, 3, 3)])
def test_a_connector_gives_exactly_the_teachers_form(student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
    connector, feature = Connector(student, teacher), torch.randn(3, *student, requires_grad=True)
    out = connector(feature)
    assert out.shape == (3, *teacher)
    out.square().sum().backward()
    assert feature.grad is not None
    assert all(p.grad is not None for p in connector.parameters())
    kinds = {type(m).__name__ for m in connector.layers}
    assert kinds == ({"Conv2d", "BatchNorm2d", "ReLU"} if len(teacher) == 3 else {"Linear", "LayerNorm"})


def test_resizing_repeats_up_and_averages_down() -> None:
    x = torch.randn(2, 3, 2, 2)
    up = resize(x, Layout((3, 2, 2)), Layout((9, 4, 4)))
    torch.testing.assert_close(up, x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    torch.testing.assert_close(resize(up, Layout((3, 4, 4)), Layout((9, 2, 2))), x)


@pytest.mark.parametrize("maps", [True, False])
def test_the_projector_has_three_layers(maps: bool) -> None:
    projector = three_layers(6, 10, 7, maps)
    x = torch.randn(4, 6, 5, 5) if maps else torch.randn(4, 7, 6)
    assert projector(x).shape == ((4, 10, 5, 5) if maps else (4, 7, 10))
    assert sum(isinstance(m, torch.nn.Conv2d | torch.nn.Linear) for m in projector.modules()) == 3
