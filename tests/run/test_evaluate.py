"""Evaluation against counts made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distill.evaluate import Predictions, accuracy, difference, latency, predictions, price
from distill.statistics import paired_difference
from distill.training.data import Order
from distill.verdict import verdict
from tests.training.conftest import network, tiny_data

CPU = torch.device("cpu")


def made(predicted: list[int], labels: list[int]) -> Predictions:
    return Predictions(torch.tensor(predicted), torch.tensor(labels), torch.ones(len(labels), dtype=torch.bool), 0.5)


def test_predictions_are_the_networks_own() -> None:
    model, data = network(6, 0), tiny_data()
    order = Order(5, CPU, shuffle=False, drop_last=False, teacher=False, augment=False)
    source = data.open_validation(order)
    found = predictions(model, source, CPU)
    with torch.no_grad():
        logits = torch.cat([model.eval()(batch.student) for batch in source.epoch(0)])
    labels = torch.cat([batch.labels for batch in source.epoch(0)])
    assert torch.equal(found.predicted, logits.argmax(1))
    assert torch.equal(found.labels, labels)
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)


def test_accuracy_agreement_and_classes() -> None:
    student, teacher = made([0, 1, 1, 1], [0, 1, 0, 0]), made([0, 1, 1, 0], [0, 1, 0, 0])
    result = accuracy(student, ["cat", "dog"], teacher)
    assert result["accuracy"]["value"] == 0.5
    assert result["agreement"]["value"] == 0.75
    assert result["agreement"]["n"] == 4
    assert result["per_class"]["cat"] == pytest.approx(result["per_class"]["cat"] | {"value": 1 / 3, "n": 3})
    assert "top5" not in result
    assert "top5" in accuracy(student, [str(n) for n in range(11)])
    assert difference(student, teacher).value == -0.25


def test_tokens_have_no_classes() -> None:
    assert set(accuracy(made([0, 1, 1], [0, 1, 0]), ())) == {"accuracy", "loss"}


@pytest.mark.parametrize(
    ("only_first", "only_second", "beats", "words"),
    [(60, 10, True, "beats base"), (10, 60, False, "does NOT beat"), (11, 10, None, "does not clearly beat")],
)
def test_verdict_says_it_plainly(only_first: int, only_second: int, beats: bool | None, words: str) -> None:
    said = verdict(paired_difference(only_first, only_second, 1000), "base")
    assert said["beats"] is beats
    assert words in said["text"]
    assert "one seed" in said["text"]


@pytest.mark.parametrize(
    ("distilled", "words"), [(True, "There is no comparison"), (False, "name it as the comparison")]
)
def test_without_a_comparison_the_verdict_says_which_job_to_name(distilled: bool, words: str) -> None:
    said = verdict(None, "", distilled=distilled)
    assert (said["beats"], said["difference"]) == (None, None)
    assert words in said["text"]


def test_price_and_latency_say_how_they_were_measured() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False)).train()
    found = price(model, torch.zeros(1, 3, 2, 2))
    assert (found["parameters"], found["flops"], found["bytes"]) == (48, 96, 192)
    assert found["latency"]["n"] >= 3
    assert found["latency"]["median_ms"] > 0
    assert found["latency"]["threads"] == torch.get_num_threads()
    assert model.training
    assert latency(model, torch.zeros(1, 3, 2, 2), repeats=7)["n"] == 7
