"""FGD against its authors' formula, written down step by step, box by box."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill import recipes
from distill.errors import InvalidConfig
from distill.models import build
from distill.recipe_parts.context_block import ContextBlock
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipes.focal_global import FocalLevel
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.types import Architecture
from tests.detection.made_up import batch
from tests.detection.test_answer import SIDE, network, setup
from tests.recipes.nets import TinyCNN, pair

SIZE = (40, 80)  # of the input; its map is (5, 10)
BOXES = [[[8.0, 4, 30, 20], [20.0, 10, 79, 39]], [[0.0, 0, 80, 40], [3.0, 3, 5, 5]], []]


def labelled(ignored: bool = False) -> Tensor:
    rows = torch.full((3, 2, 6), -1.0)
    for i, boxes in enumerate(BOXES):
        for j, box in enumerate(boxes):
            rows[i, j] = torch.tensor([*box, 0.0, float(ignored and j == 0)])
    return rows


def authors(student: Tensor, teacher: Tensor, level: FocalLevel) -> list[float]:
    """Foreground, background, attention and relation of yzd-v/FGD, unweighted; masks are (row y, column x)."""

    def attentions(x: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = x.shape
        value = x.abs()
        space = h * w * F.softmax((value.mean(1, keepdim=True) / 0.5).view(n, -1), dim=1)
        return space.view(n, h, w), c * F.softmax(value.mean(2).mean(2) / 0.5, dim=1)

    n, _, height, width = student.shape
    space_t, channel_t = attentions(teacher)
    space_s, channel_s = attentions(student)
    inside, outside = torch.zeros_like(space_t), torch.ones_like(space_t)
    for i, boxes in enumerate(BOXES):
        for box in boxes:
            x1, x2 = int(box[0] / SIZE[1] * width // 1), int(-(-box[2] / SIZE[1] * width // 1))
            y1, y2 = int(box[1] / SIZE[0] * height // 1), int(-(-box[3] / SIZE[0] * height // 1))
            share = torch.tensor(1.0 / (y2 + 1 - y1) / (x2 + 1 - x1))
            part = inside[i, y1 : y2 + 1, x1 : x2 + 1]
            inside[i, y1 : y2 + 1, x1 : x2 + 1] = torch.maximum(part, share)
        outside[i] = torch.where(inside[i] > 0, 0.0, 1.0)
        if outside[i].sum():
            outside[i] /= outside[i].sum()
    weight = space_t[:, None].sqrt() * channel_t[:, :, None, None].sqrt()
    found = []
    for mask in (inside, outside):
        root = weight * mask[:, None].sqrt()
        found.append(F.mse_loss(student * root, teacher * root, reduction="sum") / n)
    found.append(((channel_s - channel_t).abs().sum() + (space_s - space_t).abs().sum()) / n)
    out = []
    for x, block in ((student, level.student_context), (teacher, level.teacher_context)):
        shares = F.softmax(block.mask(x).view(n, 1, -1), dim=2)
        context = torch.matmul(x.flatten(2)[:, None], shares[..., None]).view(n, -1, 1, 1)
        out.append(x + block.add(context))
    found.append(F.mse_loss(*out, reduction="sum") / n)
    return [float(each.detach()) for each in found]


def level_of(c_s: int, c_t: int) -> FocalLevel:
    torch.manual_seed(0)
    level = FocalLevel(CommonResolution(Layout((c_s, 5, 10)), Layout((c_t, 5, 10))))
    for block in (level.student_context, level.teacher_context):
        torch.nn.init.normal_(block.add[-1].weight)  # type: ignore[arg-type]  # else the blocks are the identity
    return level


@pytest.mark.parametrize("channels", [(6, 6), (4, 6)])
def test_the_terms_are_the_authors(channels: tuple[int, int]) -> None:
    level = level_of(*channels)
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(3, c, 5, 10, generator=generator) for c in channels)
    mine = level(student, teacher, BoxAnswer().regions(labelled(), SIZE))
    expected = authors(level.align(student), teacher, level)
    assert [float(term.detach()) for term in mine] == pytest.approx(expected, rel=1e-5)
    same = level_of(6, 6)(teacher, teacher, BoxAnswer().regions(labelled(), SIZE))
    assert [float(term) for term in same[:3]] == [0, 0, 0]


def test_an_ignored_box_is_neither_object_nor_background() -> None:
    level = level_of(6, 6)
    student, teacher = torch.randn(3, 6, 5, 10), torch.randn(3, 6, 5, 10)
    plain = [float(t.detach()) for t in level(student, teacher, BoxAnswer().regions(labelled(), SIZE))]
    ignored = [float(t.detach()) for t in level(student, teacher, BoxAnswer().regions(labelled(True), SIZE))]
    assert ignored[0] < plain[0]
    assert ignored[1:] == pytest.approx(plain[1:])


def test_a_context_block_begins_as_the_identity() -> None:
    feature = torch.randn(2, 5, 3, 4)
    assert torch.equal(ContextBlock(5)(feature), feature)


def test_a_detector_learns_from_the_levels_of_a_pyramid() -> None:
    levels = [f"pyramid.smooth.{i}" for i in range(3)]
    student, teacher = network(8), network(16, 1)
    recipe = recipes.get("focal_global")(setup(student, teacher, levels, levels)).train()
    inputs, labels = batch(4, SIDE)
    targets = recipe.targets(inputs)
    assert set(targets) == {"feature_0", "feature_1", "feature_2"}
    parts = recipe(inputs, labels, targets)
    parts["loss"].backward()
    assert {"focal_global", "detection"} <= parts.keys()
    assert all(p.grad is not None for p in recipe.parameters())
    assert all(p.grad is None for p in teacher.parameters())


def test_what_it_cannot_learn_from_is_refused() -> None:
    """Tokens, and labels without places."""
    student = build(Architecture(name="retort:fcos", options={"backbone": "test_byobnet", "width": 8}), 3)
    with pytest.raises(InvalidConfig) as caught:
        recipes.get("focal_global")(setup(student, student, ["pyramid"], ["pyramid"]))
    assert "pyramid.smooth.0" in caught.value.remedy
    plain = pair(TinyCNN(8), TinyCNN(12, seed=1))
    with pytest.raises(InvalidConfig):
        recipes.get("focal_global")(plain)
    assert recipes.get("focal_global")(replace(plain, answer=BoxAnswer())).weights[0] == 1e-3
