"""Weights of classes: their formulas, the losses that read them, and what an inspection says of skew."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distill import class_weights
from distill.answers import Answer, ClassAnswer, Compared
from distill.answers.classes import PartlyLabelledAnswer
from distill.errors import UnknownName
from distill.evaluate import Predictions, balanced_accuracy, macro_f1
from distill.objectives.logits import cross_entropy
from distill.tasks.segment_images.answer import MaskAnswer
from distill.training.head import Rows, fit_linear
from distill.unlabelled import NO_LABEL

NAMES = ("a", "b", "c")
COUNTS = [90, 9, 1]


def test_balanced_is_n_over_k_times_the_class() -> None:
    assert class_weights.weights("balanced", COUNTS, NAMES) == pytest.approx([100 / 270, 100 / 27, 100 / 3])


def test_effective_number_is_the_papers_and_nears_balanced_for_few_samples() -> None:
    found = class_weights.weights("effective_number", [5000, 50, 5], NAMES)
    effective = [(1 - 0.999**n) / (1 - 0.999) for n in (5000, 50, 5)]
    assert found[2] / found[0] == pytest.approx(effective[0] / effective[2])
    few = class_weights.weights("effective_number", [6, 2, 1], NAMES)
    assert few == pytest.approx(class_weights.weights("balanced", [6, 2, 1], NAMES), rel=0.01)


@pytest.mark.parametrize("wanted", ["balanced", "effective_number", {"b": 7.0}])
def test_the_mean_weight_of_a_training_sample_is_one(wanted: Any) -> None:
    found = class_weights.weights(wanted, [*COUNTS, 0], (*NAMES, "d"))
    assert sum(n * w for n, w in zip(COUNTS, found, strict=False)) == pytest.approx(100)
    assert found[3] == 1
    if isinstance(wanted, dict):
        assert found[1] == pytest.approx(7 * found[0])


def test_a_class_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownName) as error:
        class_weights.weights({"dogs": 2.0}, [1, 1, 1], ("dog", "cat", "cow"))
    assert error.value.details["close"] == ["dog"]


ANSWERS: list[tuple[Answer, Any]] = [
    (ClassAnswer(0.1), lambda n: torch.arange(n) % 3),
    (PartlyLabelledAnswer(0.1), lambda n: torch.tensor([NO_LABEL, *(i % 3 for i in range(n - 1))])),
    (MaskAnswer(0.1), lambda n: torch.arange(n) % 3),
]


@pytest.mark.parametrize(("answer", "labels_of"), ANSWERS, ids=lambda value: type(value).__name__)
def test_the_loss_of_every_answer_weighs_its_classes_and_its_validation_does_not(
    answer: Answer, labels_of: Any
) -> None:
    weights = torch.tensor([0.5, 1.0, 4.0])
    labels, logits = labels_of(10), torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
    compared, known = Compared(logits, labels), labels >= 0
    target = F.one_hot(labels[known], 3) * 0.9 + 0.1 / 3
    expected = -(weights * target * logits[known].log_softmax(1)).sum() / known.sum()
    weighing = answer.weighing(weights)
    torch.testing.assert_close(weighing.loss(compared), expected)
    torch.testing.assert_close(weighing.validation_loss(compared), answer.validation_loss(compared))
    assert answer.class_weights is None


def test_weighted_batches_of_mixed_labels_accumulate_to_the_whole() -> None:
    weights, logits = torch.tensor([0.5, 1.0, 4.0]), torch.randn(8, 3)
    labels = torch.softmax(torch.randn(8, 3), 1)
    whole = cross_entropy(logits, labels, 0.0, weights)
    parts = [cross_entropy(logits[rows], labels[rows], 0.0, weights) for rows in (slice(0, 6), slice(6, 8))]
    torch.testing.assert_close(whole, parts[0] * 0.75 + parts[1] * 0.25)


def test_the_fit_of_the_classifier_weighs_classes_as_training_did() -> None:
    """Two classes in one direction, one of them rare: weighted, the rare one is found."""
    generator = torch.Generator().manual_seed(3)

    def rows(count: int, weights: torch.Tensor | None) -> Rows:
        labels = (torch.arange(count) % 20 == 0).long()
        return Rows(torch.randn(count, 1, generator=generator) + 1.5 * labels[:, None], labels, weights)

    def recall(weights: torch.Tensor | None) -> float:
        head = nn.Linear(1, 2)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        held = rows(2000, weights)
        assert fit_linear(head, rows(2000, weights), held) is not None
        rare = held.labels == 1
        return float((head(held.features).argmax(1) == 1)[rare].double().mean())

    assert recall(None) < 0.4
    assert recall(torch.tensor([10 / 19, 10.0])) > 0.6


def test_balanced_accuracy_and_macro_f1_are_scikit_learns() -> None:
    from sklearn import metrics

    generator = torch.Generator().manual_seed(0)
    labels, said = torch.randint(0, 5, (200,), generator=generator), torch.randint(0, 6, (200,), generator=generator)
    labels = torch.where(labels > 3, 0, labels)
    found = Predictions(said, labels, said == labels, 0.0)
    recalls = metrics.recall_score(labels, said, labels=range(4), average=None)
    assert balanced_accuracy(found) == pytest.approx(recalls.mean())
    assert macro_f1(found) == pytest.approx(metrics.f1_score(labels, said, average="macro"))


@pytest.mark.parametrize(("counts", "warned"), [([100, 11, 0], False), ([100, 10, 30], True), ([5, 0, 0], False)])
def test_a_skew_of_ten_is_warned_of(counts: list[int], warned: bool) -> None:
    found = class_weights.skew(counts, NAMES, "images")
    assert (found is not None) == warned
    if found:
        assert found.code == "classes_skewed"
        assert found.details["ratio"] == 10
        assert found.details["smallest"] == ["b", 10]
