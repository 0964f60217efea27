"""The long study's plan and ledger (benchmarks/study): what runs when, and that nothing of the test set decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.study.figures import by_length, by_size, pictures, worth
from benchmarks.study.ledger import OF_THE_TEST_SET, Ledger
from benchmarks.study.pairs import PAIRS
from benchmarks.study.plan import FIRST, planned, tuning
from benchmarks.study.published import converted
from benchmarks.study.written import document
from distill.models.build import build
from distill.types import Architecture

RUNS = list(planned({"cifar10-resnet": ["stem", "stages.3.0"]}))


def test_every_run_is_planned_once() -> None:
    assert len({run.key for run in RUNS}) == len(RUNS)


def test_every_pair_has_a_seed_before_any_has_the_next() -> None:
    seeds = [run for run in RUNS if run.stage in ("first", "methods", "rules", "seeds")]
    arms = [run.arm for run in seeds]
    for arm in set(arms):
        of_arm = [run.seed for run in seeds if run.arm == arm]
        assert of_arm == sorted(of_arm)
    for at in range(0, len(seeds), len(PAIRS)):
        assert {run.pair for run in seeds[at : at + len(PAIRS)]} == {pair.name for pair in PAIRS}
        assert len(set(arms[at : at + len(PAIRS)])) == 1


def test_a_run_is_the_same_whatever_its_recipe_was_tuned_to_and_its_trials_are_not() -> None:
    assert replace(RUNS[0], factor=3.0).key == RUNS[0].key
    assert len({trial.key for trial in tuning(RUNS[0])}) == 3


def outcome(validation: float) -> dict[str, object]:
    figures = {"accuracy": 0.5, "interval": [0.4, 0.6], "agreement": 0.5, "teacher_accuracy": 0.9}
    return {"status": "finished", "validation_accuracy": validation, "parameters": 1, "teacher_parameters": 2} | figures


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "lines.jsonl")


def test_the_best_of_the_trials_on_validation_data_is_used_and_survives_the_process(ledger: Ledger) -> None:
    run = RUNS[0]
    for trial, value in zip(tuning(run), (0.3, 0.6, 0.5), strict=True):
        assert ledger.factor(run) is None
        ledger.add(trial, outcome(value))
        assert not set(OF_THE_TEST_SET) & ledger.lines[trial.key].keys()
    assert ledger.factor(run) == Ledger(ledger.path).factor(run) == 1.0


def test_a_recipe_whose_trials_all_diverged_has_no_rate(ledger: Ledger) -> None:
    for trial in tuning(RUNS[0]):
        ledger.add(trial, {"status": "diverged", "message": "."})
    assert ledger.factor(RUNS[0]) is None


def test_the_tables_are_made_of_the_lines_alone(ledger: Ledger) -> None:
    for run in [run for run in RUNS if run.stage == "first"]:
        ledger.add(run, outcome(0.5))
    text = document(Ledger(ledger.path))
    assert f"| first | {len(FIRST) * len(PAIRS)} | {len(FIRST) * len(PAIRS)} |" in text
    assert all(f"## {pair.name}, 20 epochs" in text for pair in PAIRS)
    assert text.count("| cross_entropy | ") == len(PAIRS)


def test_the_pictures_are_made_of_the_lines_that_there_are(ledger: Ledger) -> None:
    assert list(pictures(ledger)) == []
    ledger.put({"key": "curve cifar10-resnet", "layers": [
        {"name": "stem", "quality": 0.1, "separation": 0.2}, {"name": "stages.3.0", "quality": 0.4, "separation": 0.3},
    ]})  # fmt: skip
    drawn = [run for run in RUNS if run.stage in ("first", "size", "worth") and run.pair == "cifar10-resnet"]
    sizes = {"smaller": 1, "student": 4, "larger": 16}
    for run in drawn:
        ledger.add(run, outcome(0.5) | {"parameters": sizes[run.size]})
    again = next(run for run in RUNS if run.stage == "seeds" and run.arm == FIRST[0])
    ledger.add(again, outcome(0.5) | {"parameters": 4, "accuracy": 0.7})
    points = by_size(ledger)["cifar10-resnet"]
    assert {arm: [p.x for p in of_arm] for arm, of_arm in points.items()} == {str(arm): [1, 4, 16] for arm in FIRST}
    assert (points["cross_entropy"][0].low, points["cross_entropy"][0].high) == (40, 60)
    assert points["cross_entropy"][1].y == pytest.approx(60)
    assert points["cross_entropy"][1].high - 60 == pytest.approx(12.706 * 10, rel=1e-3)  # t of one degree of freedom
    assert [p.x for p in by_length(ledger)["cifar10-resnet"]["cross_entropy"]] == [20]
    assert [(layer["name"], accuracy) for layer, accuracy in worth(ledger)["cifar10-resnet"]] == [
        ("stem", 50), ("stages.3.0", 50),
    ]  # fmt: skip
    assert [name for name, draw in pictures(ledger) if draw()] == ["study-size", "study-length", "study-worth"]


class Theirs(nn.Module):
    """The published ResNet in small: a stem of 4 channels, a block a stage, shortcuts that pad on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Block(4 * (stage or 1), 4 * (stage + stage or 1), 1 + bool(stage))) for stage in (0, 1, 2)
        )
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        out: Tensor = self.linear(y.mean((2, 3)))
        return out


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride, self.side = stride, (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        padded = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.side, self.side))
        return functional.relu(y + padded)


def test_a_published_network_answers_the_same_under_our_names() -> None:
    torch.manual_seed(0)
    theirs = Theirs()
    theirs(torch.randn(16, 3, 8, 8))  # so that the statistics differ by channel
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.5)
    ours = build(Architecture(name="retort:resnet8", options={"width": 4}), 10)
    state = converted({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()})
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
