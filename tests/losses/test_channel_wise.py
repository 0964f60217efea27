"""Channel-wise distillation against a slow reference, which agrees with the authors' code."""

from __future__ import annotations

import math

import pytest
import torch

from distill.answers import ClassAnswer
from distill.errors import InvalidConfig
from distill.losses.channel_wise import ChannelWise
from distill.recipe_parts.base import Setup
from distill.recipe_parts.pairs import FeaturePairs, channel_rows
from distill.recipes.logit import Logit
from distill.tasks.segment_images.answer import MaskAnswer


def naive(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    """Shu et al. 2021, equations 2 and 3: sums over positions of every channel of every image, one by one."""
    n, c = student.shape[:2]
    total = 0.0
    for image in range(n):
        for channel in range(c):
            s, t = ((x[image, channel].double() / temperature).flatten().tolist() for x in (student, teacher))
            log_s, log_t = (math.log(sum(map(math.exp, x))) for x in (s, t))
            total += sum(math.exp(b - log_t) * ((b - log_t) - (a - log_s)) for a, b in zip(s, t, strict=True))
    return temperature**2 * total / (n * c)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_against_the_slow_reference(temperature: float) -> None:
    torch.manual_seed(0)
    student, teacher = 5 * torch.randn(2, 3, 4, 6), 5 * torch.randn(2, 3, 4, 6)
    got = ChannelWise.at(temperature)(channel_rows(student), channel_rows(teacher))
    assert float(got) == pytest.approx(naive(student, teacher, temperature), rel=1e-5)


def test_pinned() -> None:
    """The authors' CriterionCWD("channel", "kl", 4.0) gives 4.1995668 on these (TorchDistiller, SemSeg-distill)."""
    student = torch.arange(48.0).reshape(2, 2, 3, 4).sin() * 3
    teacher = torch.arange(48.0).reshape(2, 2, 3, 4).cos() * 3
    assert float(ChannelWise()(channel_rows(student), channel_rows(teacher))) == pytest.approx(4.1995668, rel=1e-6)


def test_a_constant_of_a_channel_changes_nothing_and_equals_are_at_zero() -> None:
    x = torch.randn(2, 3, 4, 4)
    rows, shifted = channel_rows(x), channel_rows(x + torch.randn(2, 3, 1, 1))
    assert float(ChannelWise()(rows, shifted)) == pytest.approx(0, abs=1e-6)


def test_maps_without_positions_are_refused() -> None:
    for student, teacher in ((torch.zeros(6, 1), torch.zeros(6, 1)), (torch.zeros(6, 4), torch.zeros(6, 9))):
        with pytest.raises(InvalidConfig):
            ChannelWise()(student, teacher)


def test_rows_of_pairs_are_channels_of_samples() -> None:
    setup = Setup(
        torch.nn.Identity(), torch.nn.Identity(), 2, ("a",), ("b",), ((4, 8, 8),), ((3, 4, 4),), answer=ClassAnswer()
    )
    pairs = FeaturePairs(setup, "channel_wise", grid=2)
    student, teacher = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 4, 4)
    pooled = torch.nn.functional.adaptive_avg_pool2d(student, 4)
    projected = pairs.pairs[0].projector(pooled)
    expected = naive(projected.detach(), teacher, 4.0)
    assert float(pairs([student], pairs.pool_teacher([teacher])).detach()) == pytest.approx(expected, rel=1e-5)


def test_as_a_loss_of_logits() -> None:
    student, teacher = torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Conv2d(3, 5, 3, stride=2, padding=1)
    setup = Setup(student, teacher, 5, answer=MaskAnswer())
    recipe = Logit(setup, logit_loss="channel_wise", logit_weight=3.0, temperature=2.0)
    images, labels = torch.randn(2, 3, 8, 8), torch.randint(-1, 5, (2, 8, 8))
    parts = recipe(images, labels, recipe.targets(images))
    taught = torch.nn.functional.interpolate(teacher(images), size=(8, 8), mode="bilinear")
    expected = naive(student(images).detach(), taught.detach(), 2.0)
    assert float(parts["logit"]) == pytest.approx(expected, rel=1e-4)
    assert float(parts["loss"].detach()) == pytest.approx(float(parts["cross_entropy"]) + 3 * expected, rel=1e-4)


def test_logits_that_are_no_maps_are_refused() -> None:
    with pytest.raises(InvalidConfig) as caught:
        Logit(Setup(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), 2), logit_loss="channel_wise")
    assert caught.value.details["parameter"] == "logit_loss"
