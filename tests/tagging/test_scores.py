"""Figures of lists of labels against independent references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from torch import Tensor

from distill.answers import Compared
from distill.answers.base import Guess
from distill.errors import InvalidConfig
from distill.objectives.logits import soft_divergence
from distill.tasks.tag_images.answer import TagAnswer, guessed
from distill.tasks.tag_images.average_precision import Ranking
from distill.tasks.tag_images.scores import Scores, difference, figures
from distill.training.meter import Meter

NAMES = ("a", "b", "c", "d")


def sample(n: int, seed: int, ties: bool = False, classes: int = len(NAMES)) -> tuple[Tensor, Tensor]:
    """Logits that know something, and labels; rounded to ties where asked for."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(n, classes, generator=generator) < torch.linspace(0.1, 0.7, classes)
    logits = torch.randn(n, classes, generator=generator) + labels.float()
    return (logits.round() if ties else logits), labels


def scores(logits: Tensor, labels: Tensor) -> Scores:
    return Scores(logits, labels, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10_000), st.booleans())
def test_average_precision_is_scikit_learns(n: int, seed: int, ties: bool) -> None:
    logits, labels = sample(n, seed, ties, classes=1)
    found = Ranking(logits[:, 0], labels[:, 0]).average_precision(torch.ones(1, n, dtype=torch.double))
    if not labels.any():
        assert found.isnan().all()
    else:
        assert float(found) == pytest.approx(average_precision_score(labels[:, 0], logits[:, 0]))


@pytest.mark.parametrize("ties", [False, True])
def test_a_weight_is_that_many_copies(ties: bool) -> None:
    """So a bootstrap sample has the figure of the images that fell into it."""
    logits, labels = sample(40, 1, ties)
    times = torch.randint(4, (40,), generator=torch.Generator().manual_seed(2))
    drawn = torch.repeat_interleave(torch.arange(40), times)
    whole = torch.ones(1, len(drawn), dtype=torch.double)
    one, copies = scores(logits, labels), scores(logits[drawn], labels[drawn])
    weights = times[None].double()
    for name in ("average_precisions", "micro_f1", "macro_f1"):
        torch.testing.assert_close(getattr(one, name)(weights), getattr(copies, name)(whole), equal_nan=True)


@pytest.mark.parametrize("ties", [False, True])
def test_figures_are_scikit_learns(ties: bool) -> None:
    logits, labels = sample(200, 3, ties)
    found = figures(scores(logits, labels), NAMES)
    truth, said = labels.numpy(), (logits >= 0).numpy()
    wanted = {
        "mean_average_precision": average_precision_score(truth, logits.numpy(), average="macro"),
        "micro_f1": f1_score(truth, said, average="micro"),
        "macro_f1": f1_score(truth, said, average="macro"),
        "subset_accuracy": accuracy_score(truth, said),
    }
    for name, value in wanted.items():
        entry = found[name]
        assert entry["value"] == pytest.approx(value)
        assert entry["low"] < entry["value"] < entry["high"]
    assert found["chance"] == pytest.approx(truth.mean())
    for c, name in enumerate(NAMES):
        assert found["per_class"][name]["value"] == pytest.approx(average_precision_score(truth[:, c], logits[:, c]))
        assert found["per_class"][name]["n"] == truth[:, c].sum()


def test_a_class_without_a_test_image_is_left_out() -> None:
    logits, labels = sample(60, 4)
    labels[:, 1] = False
    found, others = figures(scores(logits, labels), NAMES), [0, 2, 3]
    assert found["per_class"]["b"] == {"value": None, "n": 0}
    wanted = average_precision_score(labels[:, others], logits[:, others], average="macro")
    assert found["mean_average_precision"]["value"] == pytest.approx(wanted)


def test_agreement_and_difference() -> None:
    logits, labels = sample(80, 5)
    same, other = scores(logits, labels), scores(sample(80, 6)[0], labels)
    assert figures(same, NAMES, same)["agreement"]["value"] == 1
    agreed = ((logits >= 0) == other.said).double().mean()
    assert figures(same, NAMES, other)["agreement"]["value"] == pytest.approx(float(agreed))
    level, ahead = difference(same, same), difference(same, other)
    assert (level.value, level.clear) == (0, False)
    assert ahead.value == pytest.approx(same.mean_average_precision - other.mean_average_precision)
    assert ahead.clear


def test_loss_is_binary_cross_entropy_and_smoothing_moves_labels_towards_a_half() -> None:
    logits, labels = sample(30, 7)
    answer, smooth = TagAnswer(), TagAnswer(0.2)
    p = logits.double().sigmoid()
    y = labels.double()
    naive = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    assert float(answer.loss(answer.compare(logits, labels))) == pytest.approx(float(naive), rel=1e-5)
    y = y * 0.8 + 0.1
    naive = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    assert float(smooth.loss(smooth.compare(logits, labels))) == pytest.approx(float(naive), rel=1e-5)
    plain = answer.loss(answer.compare(logits, labels))
    assert torch.equal(smooth.validation_loss(smooth.compare(logits, labels)), plain)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_that_of_two_coins_for_every_class(temperature: float) -> None:
    student, teacher = sample(20, 8)[0].requires_grad_(), sample(20, 9)[0]
    found = TagAnswer().divergence(
        Compared(student, None, {"logits": teacher}), lambda s, t: soft_divergence(s, t, temperature)
    )
    p, q = (logits.double() / temperature for logits in (teacher, student))
    p, q = p.sigmoid(), q.sigmoid()
    naive = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean() * temperature**2
    assert found.item() == pytest.approx(naive.item(), rel=1e-4)
    found.backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_divergence_of_far_logits_is_finite() -> None:
    far = torch.tensor([[80.0, -80.0]], requires_grad=True)
    found = TagAnswer().divergence(
        Compared(far, None, {"logits": -far.detach()}), lambda s, t: soft_divergence(s, t, 1.0)
    )
    found.backward()
    assert found.item() == pytest.approx(80, rel=1e-3)
    assert far.grad is not None
    assert far.grad.isfinite().all()


def test_running_figures_are_near_those_of_all_samples() -> None:
    """Whatever the batches: counts in bins add up. Rounding to bins moves the value by less than 0.002 here."""
    logits, labels = sample(4000, 10)
    answer = TagAnswer()
    meter = Meter(answer)
    for a, b in zip(logits.split(300), labels.split(300), strict=True):
        meter.add({"loss": torch.tensor(1.0), "outputs": a}, b)
    found = meter.take()
    wanted = average_precision_score(labels, logits, average="macro")
    assert found["mean_average_precision"] == pytest.approx(wanted, abs=2e-3)
    assert found["micro_f1"] == pytest.approx(f1_score(labels, logits >= 0, average="micro"))


def test_running_figures_of_many_classes_stay_small() -> None:
    sums = TagAnswer().figures(torch.randn(4, 5000), torch.rand(4, 5000) < 0.1)
    assert sum(each.numel() for each in sums.values()) <= 2**20


def test_logits_and_labels_of_another_task_are_refused() -> None:
    for labels in (torch.zeros(4, dtype=torch.long), torch.zeros(4, 3)):
        with pytest.raises(InvalidConfig):
            TagAnswer().compare(torch.zeros(4, 2), labels)


@pytest.mark.parametrize(("knows", "judged"), [(0.0, True), (1.0, False)])
def test_scores_that_know_nothing_are_at_chance(knows: float, judged: bool) -> None:
    answer = TagAnswer()
    generator = torch.Generator().manual_seed(11)
    labels = torch.rand(300, 6, generator=generator) < 0.2
    logits = torch.randn(300, 6, generator=generator) + knows * labels
    values = answer.values(answer.figures(logits, labels), 300)
    said = answer.at_chance(values, Guess(0.2, 300), lambda: answer.tally(logits, labels))
    assert (said is not None) == judged


def test_the_limit_of_guessing_is_what_random_scores_reach() -> None:
    limit = guessed(torch.tensor([30, 60, 0, 300]), 300)
    assert limit is not None
    random = np.random.default_rng(0)
    truth = np.zeros((300, 2), bool)
    truth[:30, 0] = truth[:60, 1] = True
    drawn = [average_precision_score(truth, random.random((300, 2)), average="macro") for _ in range(200)]
    assert np.mean(np.array(drawn) > limit) < 0.05
    assert guessed(torch.tensor([0, 300]), 300) is None
