"""Class weights and balanced sampling, of every task that has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distill import tasks
from distill.control import Control
from distill.errors import InvalidConfig, UnknownName
from distill.run import run
from distill.training import checkpoint
from tests.tasks.house import House, go

Get = Callable[[str], House]
WEIGHING = [name for name in tasks.names() if "class_weights" in tasks.spec(name).settings]
DRAWING = [name for name in tasks.names() if "sampling" in tasks.spec(name).settings]


@pytest.mark.parametrize("name", WEIGHING)
def test_classes_are_weighed_and_the_report_says_how(name: str, house: Get, tmp_path: Path) -> None:
    made = house(name)
    given = made.spec(recipe="cross_entropy", class_weights="balanced", max_steps=2)
    task = tasks.get(name)(given, tmp_path / "task")
    weights = task.answer.class_weights
    assert weights is not None
    assert len(weights) == len(task.classes)
    go(given, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    assert report["configuration"]["class_weights"] == "balanced"
    assert all(classname in report["reasons"]["class_weights"] for classname in task.classes[:2])


@pytest.mark.parametrize("name", WEIGHING)
def test_a_class_that_there_is_not_is_refused_before_training(name: str, house: Get, tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        tasks.get(name)(house(name).spec(class_weights={"no such class": 2.0}), tmp_path)


@pytest.mark.parametrize("name", DRAWING)
def test_evenly_drawn_epochs_go_on_in_their_middle(name: str, house: Get, tmp_path: Path) -> None:
    made = house(name)
    asked = {"recipe": "cross_entropy", "sampling": "balanced", "epochs": 2}
    go(made.spec(**asked), tmp_path / "whole")
    control, folder = Control(), tmp_path / "part"
    for event in run(made.spec(**asked), folder, control):
        control.handover |= event.kind == "metrics"
    newest = checkpoint.existing(folder / "checkpoints")[-1]
    assert checkpoint.read(newest)["batch"] > 0
    go(made.spec(**asked, resume_from=str(newest)), tmp_path / "rest")
    reports = [json.loads((tmp_path / f / "artifacts" / "report.json").read_text()) for f in ("whole", "rest")]
    assert reports[0]["digests"] == reports[1]["digests"]
    assert "an epoch draws each" in reports[0]["reasons"]["sampling"]
    assert 0 < reports[0]["student"]["balanced_accuracy"] < 1


@pytest.mark.parametrize("name", DRAWING)
def test_skew_is_not_mended_twice(name: str, house: Get, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig):
        tasks.get(name)(house(name).spec(class_weights="balanced", sampling="balanced"), tmp_path)
