"""Students that start from given weights, through a whole run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.control import Control
from distill.errors import InvalidConfig
from distill.pruned import BLOCKS, WIDTHS, architecture_of
from distill.student import load_student
from distill.training import checkpoint
from distill.types import Architecture, ComparisonInput, StartInput, TeacherInput, TeacherPreprocessing
from tests.run.conftest import STUDENT, TEACHER, go, sha256, spec
from tests.run.test_other_classes import SMALL, made

DEEP = Architecture(name="retort:resnet14", options={"width": 4})


def start_of(teacher: TeacherInput, label: str = "teacher tch_1") -> StartInput:
    return StartInput(
        label=label, architecture=teacher.architecture, weights=teacher.weights, digest=sha256(Path(teacher.weights))
    )


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "artifacts" / "report.json").read_text())
    return found


def test_a_student_of_a_finished_run_goes_on(tmp_path: Path) -> None:
    """All of it is taken, the head too, since its classes are the same; and its figures show it."""
    run: dict[str, Any] = {"recipe": "cross_entropy", "epochs": 4, "train_limit": None, "fit_head": False}
    go(spec(**run), tmp_path / "first")
    weights = tmp_path / "first/artifacts/student.safetensors"
    start = StartInput(label="the student of job_1", architecture=STUDENT, weights=str(weights))
    events = go(spec(**run | {"epochs": 1, "max_steps": 1}, start=start, learning_rate=1e-6), tmp_path / "second")
    first, second = report_of(tmp_path / "first"), report_of(tmp_path / "second")
    assert second["student"]["accuracy"]["value"] == pytest.approx(first["student"]["accuracy"]["value"], abs=0.03)
    assert second["start"]["label"] == "the student of job_1"
    assert (second["start"]["made"]["count"], second["start"]["left"]["count"]) == (0, 0)
    assert second["start"]["taken"]["count"] == len(load_file(weights))
    resolved = next(event.data for event in events if event.kind == "resolved")
    assert "the student of job_1" in resolved["reasons"]["weights"]
    assert resolved["config"]["backbone_learning_rate"] == pytest.approx(3e-7)
    assert first["start"] is None
    assert first["configuration"]["backbone_learning_rate"] is None


@pytest.mark.parametrize("recipe", ["cross_entropy", "feature_only", "logit"])
def test_a_shallower_student_starts_from_its_teacher(tmp_path: Path, teacher: TeacherInput, recipe: str) -> None:
    student = Architecture(name="retort:resnet8", options=dict(TEACHER.options))
    go(spec(teacher, recipe=recipe, start=start_of(teacher), student=student, **SMALL), tmp_path)
    report = report_of(tmp_path)
    assert report["start"]["left"]["count"] > 0
    assert report["start"]["made"]["count"] == 0
    assert any("did not start from noise" in note for note in report["notes"])


def test_a_head_of_other_classes_is_made_anew(tmp_path: Path) -> None:
    start = start_of(made(tmp_path / "t", DEEP, 7))
    go(spec(start=start, recipe="cross_entropy", **SMALL), tmp_path / "run")
    report = report_of(tmp_path / "run")
    assert report["start"]["made"] == {"count": 2, "names": ["head.weight", "head.bias"]}


def test_what_was_taken_learns_at_the_lower_rate(tmp_path: Path) -> None:
    """At a rate that moves nothing the backbone stays, while the new head learns."""
    start = start_of(made(tmp_path / "t", DEEP, 7))
    given: dict[str, Any] = {"recipe": "cross_entropy", "backbone_learning_rate": 1e-12, "weight_decay": 0.0}
    go(spec(start=start, fit_head=False, **given | SMALL), tmp_path / "run")
    before, after = load_file(start.weights), load_file(tmp_path / "run/artifacts/student.safetensors")
    assert torch.allclose(before["stem.conv.weight"], after["stem.conv.weight"], atol=1e-9)
    assert report_of(tmp_path / "run")["configuration"]["backbone_learning_rate"] == 1e-12


def test_a_run_that_is_handed_over_goes_on_with_the_same_groups(tmp_path: Path) -> None:
    start = start_of(made(tmp_path / "t", DEEP, 7))
    given = spec(start=start, recipe="cross_entropy", **SMALL | {"max_steps": 4, "epochs": 4})
    go(given, tmp_path / "straight")
    control = Control()

    def leave(event: Any) -> None:
        if event.kind == "checkpoint" and event.data["step"] > 0:
            control.handover = True

    go(given, tmp_path / "parts", control, leave)
    newest = checkpoint.existing(tmp_path / "parts/checkpoints")[-1]
    go(given.model_copy(update={"resume_from": str(newest)}), tmp_path / "parts")
    one, other = (load_file(tmp_path / f"{name}/artifacts/student.safetensors") for name in ("straight", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("wrong", ["shape", "architecture", "nan", "rate"])
def test_what_cannot_be_started_from_is_refused_before_any_work(tmp_path: Path, wrong: str) -> None:
    teacher = made(tmp_path / "t", DEEP if wrong != "architecture" else Architecture(name="retort:vgg11_small"), 7)
    changes: dict[str, Any] = {"start": start_of(teacher)}
    if wrong == "shape":
        changes["student"] = Architecture(name="retort:resnet8", options={"width": 8})
    if wrong == "nan":
        state = load_file(teacher.weights)
        state["stem.conv.weight"][0] = torch.nan
        save_file(state, teacher.weights)
    if wrong == "rate":
        changes = {"backbone_learning_rate": 1e-3}
    with pytest.raises(InvalidConfig) as caught:
        go(spec(recipe="cross_entropy", **changes, **SMALL), tmp_path / "run")
    said = {"shape": "stem.conv.weight", "architecture": "another architecture", "nan": "NaN", "rate": "backbone"}
    assert said[wrong] in caught.value.message


def test_the_student_sees_pictures_as_its_weights_did(tmp_path: Path) -> None:
    """As it was told when they were registered."""
    given = TeacherPreprocessing(mean=[0.1], std=[0.2], input_size=12)
    start = start_of(made(tmp_path / "t", DEEP, 7)).model_copy(update={"preprocessing": given})
    go(spec(start=start, recipe="cross_entropy", **SMALL), tmp_path / "run")
    seen = report_of(tmp_path / "run")["student"]["preprocessing"]
    assert (seen["mean"], seen["std"], seen["size"]) == ([0.1], [0.2], [12, 12])


def test_a_pruned_teacher_is_trained_delivered_and_loaded_without_it(tmp_path: Path, teacher: TeacherInput) -> None:
    """And a run that is handed over goes on with the same network."""
    own = shutil.copy(teacher.weights, tmp_path / "teacher.safetensors")  # removed below; the fixture's is for all
    teacher = teacher.model_copy(update={"weights": str(own)})
    student = architecture_of(teacher.architecture, 0.5, round_to=2)
    given = spec(teacher, student=student, start=start_of(teacher), recipe="feature_only", **SMALL)
    control = Control()

    def leave(event: Any) -> None:
        if event.kind == "checkpoint" and event.data["step"] > 0:
            control.handover = True

    go(given, tmp_path / "straight")
    go(given, tmp_path / "parts", control, leave)
    newest = checkpoint.existing(tmp_path / "parts/checkpoints")[-1]
    go(given.model_copy(update={"resume_from": str(newest)}), tmp_path / "parts")
    path = tmp_path / "straight/artifacts/student.safetensors"
    one, other = load_file(path), load_file(tmp_path / "parts/artifacts/student.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    report = report_of(tmp_path / "straight")
    assert report["start"]["made"]["count"] == 0
    assert report["start"]["left"]["count"] == 0
    assert "pruned by magnitude" in report["start"]["label"]
    whole = sum(tensor.numel() for tensor in load_file(teacher.weights).values())
    assert sum(tensor.numel() for tensor in one.values()) < whole
    Path(teacher.weights).unlink()
    loaded = load_student(path)
    assert WIDTHS in loaded.architecture.options
    with torch.no_grad():
        assert loaded.model(torch.zeros(1, loaded.preprocessing.channels, *loaded.preprocessing.size)).shape == (1, 10)
    cards = [each.read_text() for each in path.parent.glob("*.md")]
    assert any("load_student" in card for card in cards)


def test_a_pruned_student_is_gone_on_with_compared_and_exported(tmp_path: Path, teacher: TeacherInput) -> None:
    """Named as its job names it, by shares of channels and blocks alone."""
    student = architecture_of(teacher.architecture, 0.5, round_to=2, blocks=0.5)
    run: dict[str, Any] = {"student": student, "recipe": "cross_entropy", **SMALL}
    go(spec(start=start_of(teacher), **run), tmp_path / "first")
    weights = tmp_path / "first/artifacts/student.safetensors"
    options = load_student(weights).architecture.options
    assert options[BLOCKS] == {"stages.0": [1], "stages.1": [0], "stages.2": [0]}
    assert WIDTHS in options
    start = StartInput(label="the student of job_1", architecture=student, weights=str(weights))
    other = ComparisonInput(
        label="first", architecture=student, weights=str(weights), recipe="cross_entropy", job_id="job_1"
    )
    go(spec(start=start, comparison=other, exports=["onnx"], **run), tmp_path / "second")
    report = report_of(tmp_path / "second")
    assert report["start"]["label"] == "the student of job_1"  # nothing is cut once more
    assert report["start"]["made"]["count"] == 0
    assert report["comparison"]["parameters"] == report["student"]["parameters"]
    first = load_file(weights)
    second = load_file(tmp_path / "second/artifacts/student.safetensors")
    assert {name: tensor.shape for name, tensor in first.items()} == {n: t.shape for n, t in second.items()}
    assert (tmp_path / "second/artifacts/student.onnx").stat().st_size > 0


def test_only_its_own_whole_network_is_pruned_into_a_student(tmp_path: Path) -> None:
    teacher = made(tmp_path / "t", Architecture(name="retort:vgg11_small", options={"width": 4}), 7)
    student = architecture_of(Architecture(name="retort:resnet8"), 0.5)
    with pytest.raises(InvalidConfig) as caught:
        go(spec(recipe="cross_entropy", student=student, start=start_of(teacher), **SMALL), tmp_path / "run")
    assert caught.value.details["field"] == "student"
