"""Every task of the registry, and one that lives in these tests alone, goes the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import recipes, tasks
from distill.control import Control
from distill.errors import InvalidConfig
from distill.student import load_student
from distill.tasks.inspection import inspect, task_of
from distill.training import checkpoint
from distill.types import Event
from tests.recipes.soon import soon
from tests.tasks.house import House, go
from tests.training.test_distributed import run_two

OWN = "regress_images"
TASKS = sorted({*tasks.names(), OWN})
Get = Callable[[str], House]


def events_of(kind: str, events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.kind == kind]


NOW = {
    "attention_transfer": "segment_images", "crd": "classify_text", "dist": "generate_text", "dkd": "segment_images",
    "focal_global": "detect_objects",
    "fitnet": "regress_images", "masked_generative": "detect_objects", "ofa": "classify_text", "pkt": "generate_text",
    "review": "segment_images", "rkd": "classify_text", "vid": "generate_text",
}  # fmt: skip


def pairs() -> list[Any]:
    offered = {name: getattr(_spec(name), "recipes", ()) or recipes.names() for name in TASKS}
    every = [(recipe, name) for name in TASKS for recipe in offered[name] if recipe in recipes.names()]
    return [soon(recipe, name, now=NOW.get(recipe) == name) for recipe, name in every]


def _spec(name: str) -> Any:
    return None if name == OWN else tasks.spec(name)


each = pytest.mark.parametrize("name", TASKS)


@each
def test_specification_and_answer_agree(name: str, house: Get, tmp_path: Path) -> None:
    """What API and dashboard are told is what the loop does."""
    made = house(name)
    assert task_of(made.dataset) == name
    spec = tasks.spec(name)
    task = tasks.get(name)(made.spec(recipe="cross_entropy"), tmp_path)
    assert (task.answer.primary, task.answer.higher_is_better) == (spec.primary.name, spec.primary.higher_is_better)
    assert task.answer.loss_name == spec.loss
    assert name in tasks.accepting(made.student.name)
    assert inspect(made.dataset)["task"] == name
    assert json.loads(json.dumps(spec.to_dict()))["name"] == name


@pytest.mark.long
@pytest.mark.parametrize(("recipe", "name"), pairs())
def test_every_recipe_makes_the_whole_way(recipe: str, name: str, house: Get, tmp_path: Path) -> None:
    """Accumulated batches and averaged weights too; the student loads again and answers."""
    made, spec = house(name), tasks.spec(name)
    events = go(made.spec(recipe=recipe, gradient_accumulation=2, ema_decay=0.9), tmp_path)
    assert events[-1].kind == "done"
    folder = tmp_path / "artifacts"
    report = json.loads((folder / "report.json").read_text())
    assert (report["task"], report["metrics"][0]["name"]) == (name, spec.primary.name)
    for metric in spec.metrics[:1]:
        for column in ("student", "teacher"):
            assert report[column] is None or metric.value(report[column]) is not None
    split = {event["split"]: event["values"] for event in events_of("metrics", events)}
    assert {spec.primary.name, "loss"} <= set(split["validation"]) & set(split["test"])
    assert spec.loss in split["train"]
    assert report["training"]["validation"] == pytest.approx(split["validation"][spec.primary.name])
    result = events_of("result", events)[-1]
    assert spec.primary.name in result["student"]
    assert not {"per_class", "confusion"} & set(result["student"])  # they grow with the classes; the report has them
    text = (folder / "report.md").read_text()
    assert spec.primary.label in text
    assert recipe in (folder / "README.md").read_text()
    student = load_student(next(folder.glob("student.[sz]*")))
    assert made.ask(student) == made.ask(student)


@each
def test_a_run_that_is_handed_over_ends_as_the_undisturbed_one(name: str, house: Get, tmp_path: Path) -> None:
    made = house(name)
    go(made.spec(recipe="feature_logit", epochs=2), tmp_path / "whole")
    control, seen = Control(), []
    from distill.run import run

    for event in run(made.spec(recipe="feature_logit", epochs=2), tmp_path / "part", control):
        seen.append(event)
        if event.kind == "metrics":
            control.handover = True
    assert seen[-1].kind != "done"
    last = events_of("checkpoint", seen)[-1]["path"]
    events = go(made.spec(recipe="feature_logit", epochs=2, resume_from=last), tmp_path / "rest")
    assert events[-1].kind == "done"
    reports = [json.loads((tmp_path / f / "artifacts" / "report.json").read_text()) for f in ("whole", "rest")]
    assert reports[0]["digests"] == reports[1]["digests"]
    drawn = [(tmp_path / f / "artifacts" / "q-curve-draw.json") for f in ("whole", "rest")]
    assert [each.exists() for each in drawn] == [each.with_name("q-curve.json").exists() for each in drawn]
    if drawn[0].exists():
        assert drawn[0].read_text() == drawn[1].read_text()
        assert all(row["group"] for row in json.loads(drawn[0].read_text())["rows"])


TOGETHER = """
import json, sys
from pathlib import Path
import torch
from distill.control import Control
from distill.run import run
from distill.training import distributed
from distill.types import RunSpec
torch.set_num_threads(1)
with distributed.group() as rank:
    for path, folder in json.loads(sys.argv[1]):
        spec = RunSpec.model_validate_json(Path(path).read_text())
        for event in run(spec, Path(folder) if rank == 0 else Path(folder, f"scratch-{rank}"), Control()):
            pass
"""


@pytest.fixture(scope="module")
def both(house: Get, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task trained alone, into TASK/one, and by two processes, into TASK/two; these are started once for all."""
    folder = tmp_path_factory.mktemp("both")
    for name in TASKS:
        given = house(name).spec(recipe="cross_entropy", max_steps=2, learning_rate=1e-3)
        (folder / name).mkdir()
        (folder / name / "spec.json").write_text(given.model_dump_json())
        go(given, folder / name / "one")
    run_two(TOGETHER, [json.dumps([[str(folder / n / "spec.json"), str(folder / n / "two")] for n in TASKS])], 200)
    return folder


@each
def test_two_processes_are_one(name: str, both: Path) -> None:
    """Within rounding: one optimiser step of a small rate on whole batches, without statistics of a batch's share."""
    one, two = (_weights(both / name / folder / "checkpoints") for folder in ("one", "two"))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key].float(), value.float(), rtol=2e-2, atol=3e-3)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = checkpoint.read(checkpoint.existing(folder)[-1])["recipe"]
    return found


@each
def test_a_teacher_of_other_classes_teaches_by_its_features(name: str, house: Get, tmp_path: Path) -> None:
    """Where classes are the task's: it has no figure of its own but a linear probe, and logits are not read."""
    made, spec = house(name), tasks.spec(name)
    if "teacher_classes" not in spec.settings:
        pytest.skip("the task's outputs are no classes")
    with pytest.raises(InvalidConfig, match="logits"):
        go(made.spec(recipe="logit", teacher_classes="other"), tmp_path / "logit")
    events = go(made.spec(recipe="feature_only", teacher_classes="other"), tmp_path / "run")
    assert events[-1].kind == "done"
    report = json.loads((tmp_path / "run/artifacts/report.json").read_text())
    assert {metric.name for metric in spec.metrics} & report["teacher"].keys() <= {"linear_probe"}
    assert ("linear_probe" in report["teacher"]) == any(metric.name == "linear_probe" for metric in spec.metrics)
    assert any("does not know the dataset's classes" in note for note in report["notes"])
