"""Who is at chance: every student that guesses, and none that knows, however unequal the classes are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from distill.answers.base import Guess
from distill.answers.classes import chance_threshold, guesses, guessing_limit
from distill.control import Control
from distill.errors import AtChance
from distill.train import train
from distill.training.data import TrainData
from tests.training.conftest import TinySource, alone, config
from tests.training.test_resume import drain

SHARES, SIZES = (0.1, 0.5, 0.95, 0.99), (5, 20, 45, 100, 500, 2000)


def labels_of(share: float, count: int) -> Tensor:
    """`count` labels, of which the commonest class has the `share`: ten equal classes, or two."""
    if share == 0.1:
        return torch.arange(count) % 10
    return (torch.arange(count) < max(1, round(count * (1 - share)))).long()


def judged(labels: Tensor, predictions: Tensor) -> float | None:
    accuracy = float((labels == predictions).double().mean())
    return guesses(accuracy, torch.bincount(labels, minlength=10), torch.bincount(predictions, minlength=10))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", SIZES)
def test_a_perfect_student_is_never_at_chance(share: float, count: int) -> None:
    labels = labels_of(share, count)
    assert judged(labels, labels) is None


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", [100, 500, 2000])
def test_a_student_that_says_one_class_is_at_chance(share: float, count: int) -> None:
    labels = labels_of(share, count)
    assert judged(labels, torch.full_like(labels, int(labels.mode().values))) is not None


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", [100, 500])
@pytest.mark.parametrize("spread", ["even", "as the labels"])
def test_students_that_draw_lots_are_at_chance(share: float, count: int, spread: str) -> None:
    labels, generator = labels_of(share, count), torch.Generator().manual_seed(1)
    odds = torch.bincount(labels).double() if spread != "even" else torch.ones(int(labels.max()) + 1)
    draws = [torch.multinomial(odds, count, replacement=True, generator=generator) for _ in range(400)]
    assert (
        sum(judged(labels, predictions) is None for predictions in draws) <= 20
    )  # 1 %; up to 5 % where less than one hit is expected


def test_one_rare_sample_found_beats_the_constant_guess() -> None:
    labels = labels_of(0.99, 500)
    predictions = torch.zeros_like(labels)
    predictions[0] = 1  # one of five
    assert judged(labels, predictions) is None


def test_a_student_that_is_surely_better_on_the_same_samples_is_not_at_chance() -> None:
    labels = labels_of(0.5, 200)
    predictions = torch.zeros_like(labels)
    predictions[:10] = 1  # ten right that the constant guess has wrong, none lost: p = 2^-10
    assert judged(labels, predictions) is None


@pytest.mark.parametrize("count", [1, 3, 8])
def test_too_few_samples_judge_nobody(count: int) -> None:
    assert judged(torch.arange(count) % 2, torch.zeros(count, dtype=torch.long)) is None


def test_one_class_alone_judges_nobody() -> None:
    assert judged(torch.zeros(500, dtype=torch.long), torch.zeros(500, dtype=torch.long)) is None


def test_the_limit_is_the_permutation_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, predictions = labels_of(0.1, 60), torch.randint(0, 4, (60,), generator=generator)
    shuffled = [predictions[torch.randperm(60, generator=generator)] for _ in range(20_000)]
    accuracies = (torch.stack(shuffled) == labels).double().mean(1)
    limit = guessing_limit(torch.bincount(labels), torch.bincount(predictions, minlength=10))
    assert limit == pytest.approx(float(accuracies.mean() + 2.33 * accuracies.std()) + 0.5 / 60, rel=0.01)


def test_chance_threshold_is_pinned() -> None:
    assert chance_threshold(0.1, 6000) == pytest.approx(0.10902, abs=1e-5)
    assert chance_threshold(0.5, 100) == pytest.approx(0.6165)


def imbalanced(learnable: float) -> TrainData:
    """One sample of twenty is of class 1; 100 validation samples, of which the constant guess gets 95."""
    generator, count, held = torch.Generator().manual_seed(0), 400, 100
    labels = (torch.arange(count + held) % 20 == 0).long()
    images = torch.randn(count + held, 3, 8, 8, generator=generator)
    images[:, 0] += learnable * (2 * labels - 1)[:, None, None]
    return TrainData(
        open_train=lambda order: TinySource(images, labels, list(range(count)), order, 0),
        open_validation=lambda order: TinySource(images, labels, list(range(count, count + held)), order, 0),
        indices=list(range(count)),
        guess=Guess.of(labels[count:].tolist()),
    )


def test_a_perfect_student_of_unequal_classes_finishes(tmp_path: Path) -> None:
    settings = config(epochs=6, learning_rate=0.05)
    _, outcome = drain(train(alone(0.0), imbalanced(4.0), settings, tmp_path, Control()))
    assert (outcome.ending, outcome.validation) == ("finished", 1.0)
    assert chance_threshold(0.95, 100) > 1  # which is why a limit on the accuracy alone could pass nobody


def test_a_student_that_learnt_only_the_common_class_does_not(tmp_path: Path) -> None:
    with pytest.raises(AtChance, match=r"accuracy 0\.9500, guessing reaches 0\.9550"):
        drain(train(alone(0.0), imbalanced(0.0), config(epochs=6, learning_rate=0.01), tmp_path, Control()))
