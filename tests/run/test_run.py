"""The whole job: phases in order, honest numbers, every recipe, and what comes of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from distill import recipes
from distill.control import Control
from distill.errors import (
    Diverged,
    InvalidConfig,
    InvalidTeacher,
    LayersNotFound,
    OutOfMemoryGpu,
    OutOfMemoryHost,
    RetortError,
    UnknownName,
)
from distill.modalities.images import open_dataset
from distill.run import memory_errors
from distill.student import load_student
from distill.types import PHASES, Architecture, ComparisonInput, Event, QCurve, TeacherInput
from tests.run.conftest import DIGITS, STUDENT, go, spec


@pytest.fixture(scope="module")
def finished(
    teacher: TeacherInput, comparison: ComparisonInput, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], Path]:
    folder = tmp_path_factory.mktemp("run")
    seen: list[bool] = []

    def complete(event: Event) -> None:
        if event.kind in ("artifact", "checkpoint"):
            seen.append(Path(event.data["path"]).stat().st_size > 0)

    events = go(spec(teacher, comparison=comparison), folder, watch=complete)
    assert seen
    assert all(seen)
    return events, folder


def test_phases_come_in_order_and_done_last(finished: tuple[list[Event], Path]) -> None:
    events, _ = finished
    phases = [event.data["phase"] for event in events if event.kind == "phase"]
    assert phases == ["scoring", "distilling", "evaluating", "packaging"]
    assert phases == sorted(phases, key=PHASES.index)
    assert [event.kind for event in events[-2:]] == ["result", "done"]
    json.dumps([event.data for event in events], allow_nan=False)


def test_the_curve_fills_layer_by_layer(finished: tuple[list[Event], Path]) -> None:
    events, _ = finished
    kinds = [event.kind for event in events]
    frame = next(event.data for event in events if event.kind == "layers")
    scored = [event.data for event in events if event.kind == "layer_quality"]
    assert frame["total_layers"] == len(scored)
    assert [layer["index"] for layer in scored] == list(range(len(scored)))
    assert kinds.index("layers") < kinds.index("layer_quality") < kinds.index("selection") < kinds.index("resolved")
    selection = next(event.data for event in events if event.kind == "selection")
    assert len(selection["chosen"]) == len(selection["teacher_layers"]) == len(selection["student_layers"]) == 2
    assert selection["reason"]


def test_the_report_is_about_the_test_set_and_says_who_wins(finished: tuple[list[Event], Path]) -> None:
    events, folder = finished
    report = json.loads((folder / "artifacts" / "report.json").read_text())
    data = open_dataset(DIGITS)
    for name in ("student", "teacher", "comparison"):
        assert report[name]["accuracy"]["n"] == len(data.test)
    assert report["dataset"]["train"] + report["dataset"]["validation"] == 400
    assert "cross-entropy" in report["verdict"]["text"]
    difference = report["student"]["accuracy"]["value"] - report["comparison"]["accuracy"]["value"]
    assert report["verdict"]["difference"]["value"] == pytest.approx(difference)
    assert report["configuration"]["learning_rate"] == 7.5e-3
    assert not any(value == "auto" for key, value in report["configuration"].items() if key != "selection")
    assert {"dataset", "teacher", "student", "q_curve"} == {key for key, value in report["digests"].items() if value}
    result = next(event.data for event in events if event.kind == "result")
    assert result["student"]["accuracy"] == report["student"]["accuracy"]
    assert report["student"]["bytes"] == (folder / "artifacts" / "student.safetensors").stat().st_size


def test_the_q_curve_is_packaged_with_its_choice(finished: tuple[list[Event], Path]) -> None:
    events, folder = finished
    curve = QCurve.from_dict(json.loads((folder / "artifacts" / "q-curve.json").read_text()))
    selection = next(event.data for event in events if event.kind == "selection")
    assert list(curve.chosen) == selection["chosen"]
    assert [layer.to_dict() for layer in curve.layers] == [e.data for e in events if e.kind == "layer_quality"]
    assert (folder / "artifacts" / "q-curve.csv").read_text().count("\n") == len(curve.layers) + 1
    draw = json.loads((folder / "artifacts" / "q-curve-draw.json").read_text())
    assert (draw["digest"], len(draw["rows"])) == (curve.digest, curve.samples)
    assert "q-curve-draw.json" in {event.data["name"] for event in events if event.kind == "artifact"}
    assert {"q-curve.svg", "q-curve.png"} <= {path.name for path in (folder / "artifacts").iterdir()}


def test_the_downloaded_student_predicts_what_the_report_says(finished: tuple[list[Event], Path]) -> None:
    _, folder = finished
    student, data = load_student(folder / "artifacts" / "student.safetensors"), open_dataset(DIGITS)
    images = [data.test.image(i) for i in range(len(data.test))]
    predicted = torch.tensor([prediction.index for prediction in student.predict(images)])
    report = json.loads((folder / "artifacts" / "report.json").read_text())
    correct = float((predicted == data.test.labels).float().mean())
    assert correct == pytest.approx(report["student"]["accuracy"]["value"], abs=1e-6)
    assert student.native == (8, 8)  # digits are resized as whole tensors, as the report was made
    assert student.probabilities(images[:3]).sum(1).tolist() == pytest.approx([1, 1, 1])


def test_a_fresh_process_loads_and_predicts(finished: tuple[list[Event], Path], tmp_path: Path) -> None:
    _, folder = finished
    open_dataset(DIGITS).test.image(0).save(tmp_path / "image.png")
    code = (
        "from distill.student import load_student\n"
        f"student = load_student({str(folder / 'artifacts' / 'student.safetensors')!r})\n"
        f"print(student.predict([{str(tmp_path / 'image.png')!r}])[0].label)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {str(digit) for digit in range(10)}


@pytest.mark.parametrize("recipe", recipes.without("needs_regions"))
def test_every_recipe_runs_to_the_end(tmp_path: Path, teacher: TeacherInput, recipe: str) -> None:
    events = go(spec(teacher, recipe=recipe, max_steps=3), tmp_path)
    assert events[-1].kind == "done"
    needs = recipes.get(recipe).needs_layers
    assert ("scoring" in [event.data.get("phase") for event in events]) == needs
    artifacts = {event.data["name"] for event in events if event.kind == "artifact"}
    assert {"student.safetensors", "student.json", "report.json", "report.md", "README.md"} <= artifacts


@pytest.mark.parametrize("role", ["teacher", "comparison"])
def test_a_network_of_the_same_classes_in_another_order_is_refused(
    tmp_path: Path, teacher: TeacherInput, comparison: ComparisonInput, role: str
) -> None:
    """A parquet file numbers its classes as it likes, folders go by the alphabet: a logit would mean another class."""
    given = teacher if role == "teacher" else comparison
    with safe_open(given.weights, "pt") as file:
        metadata = file.metadata()
    turned = metadata | {"classes": json.dumps(json.loads(metadata["classes"])[::-1])}
    save_file(load_file(given.weights), tmp_path / "t.safetensors", turned)
    other = given.model_copy(update={"weights": str(tmp_path / "t.safetensors")})
    with pytest.raises(InvalidConfig, match=r"the .*classes in another order"):
        go(spec(**{"teacher": teacher, role: other}, recipe="logit", max_steps=2), tmp_path / "run")
    with safe_open(teacher.weights, "pt") as file:
        assert tuple(json.loads(file.metadata()["classes"])) == open_dataset(DIGITS).classes


def test_a_curve_of_another_run_is_reused_by_digest(
    tmp_path: Path, teacher: TeacherInput, finished: tuple[list[Event], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    events, folder = finished
    frame = next(event.data for event in events if event.kind == "layers")
    layers = [event.data for event in events if event.kind == "layer_quality"]
    curve = QCurve.from_dict(frame | {"layers": layers, "chosen": [], "rule": ""})
    assert curve.complete
    monkeypatch.setattr("distill.running.scoring.score", _never)
    again = go(spec(teacher, max_steps=2, reuse_curves=(curve.to_dict(),)), tmp_path)
    assert next(event.data for event in again if event.kind == "layers")["reused"] is True
    first, second = (path / "artifacts" / "q-curve-draw.json" for path in (folder, tmp_path))
    assert first.read_text() == second.read_text()
    assert [event.data for event in again if event.kind == "layer_quality"] == layers
    with pytest.raises(AssertionError, match="scored again"):
        go(spec(teacher, max_steps=2, seed=1, reuse_curves=(curve.to_dict(),)), tmp_path / "other")


def _never(*_: object, **__: object) -> None:
    raise AssertionError("scored again")


def test_named_layers_are_used(tmp_path: Path, teacher: TeacherInput) -> None:
    named = {"teacher_layers": ["stem", "stages.2.1"], "student_layers": ["stages.0.0", "stages.2.0"]}
    events = go(spec(teacher, max_steps=2, **named), tmp_path)
    selection = next(event.data for event in events if event.kind == "selection")
    assert selection["rule"] == "explicit"
    assert {key: selection[key] for key in named} == named


BAD: dict[str, tuple[dict[str, Any], type[RetortError], str]] = {
    "recipe": ({"recipe": "feture_only"}, UnknownName, "feture_only"),
    "selection": ({"selection": "topq"}, UnknownName, "topq"),
    "parameter": ({"recipe_parameters": {"gird": 2}}, InvalidConfig, "gird"),
    "student": ({"student": Architecture(name="retort:resnet9000")}, UnknownName, "resnet9000"),
    "option": ({"student": Architecture(name="retort:resnet8", options={"depth": 3})}, InvalidConfig, "depth"),
    "too_small": (
        {"student": Architecture(name="torchvision:squeezenet1_0"), "image_size": 8},
        InvalidConfig,
        "does not run on images of 8 x 8",
    ),
    "two_sizes": (
        {
            "student": Architecture(name="timm:vit_tiny_patch16_224", options={"img_size": 48, "depth": 1}),
            "image_size": 32,
        },
        InvalidConfig,
        "does not run on images of 32 x 32",
    ),
    "k": ({"layers": 40}, InvalidConfig, "40 layers"),
    "teacher_layers": ({"teacher_layers": ["stem", "nowhere"]}, LayersNotFound, "nowhere"),
    "list_length": ({"student_layers": ["stem"]}, InvalidConfig, "student_layers names 1"),
    "device": ({"device": "cuda:77"}, InvalidConfig, "cuda:77"),
    "no_teacher": ({"teacher": None}, InvalidConfig, "needs a teacher"),
    "resume": ({"resume_from": "/nowhere/checkpoint-000000001.pt"}, InvalidConfig, "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_any_work(
    tmp_path: Path, teacher: TeacherInput, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, error, words = BAD[case]
    monkeypatch.setattr("distill.running.scoring.score", _never)
    given, seen = {"teacher": teacher} | changes, list[Event]()
    with pytest.raises(error, match=words) as caught:
        go(spec(given.pop("teacher"), **given), tmp_path / "job", watch=seen.append)
    assert seen == []
    assert caught.value.remedy
    assert caught.value.fault == "user"
    files = [path for path in (tmp_path / "job").rglob("*") if path.is_file()]
    assert files == []


def test_a_teacher_that_is_said_to_have_other_classes_than_its_file_is_refused(
    tmp_path: Path, teacher: TeacherInput
) -> None:
    with pytest.raises(InvalidTeacher, match="wrongly shaped"):
        go(spec(teacher.model_copy(update={"num_classes": 7})), tmp_path)


def test_a_teacher_that_is_no_checkpoint_is_refused(tmp_path: Path, teacher: TeacherInput) -> None:
    (tmp_path / "t.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidTeacher):
        go(spec(teacher.model_copy(update={"weights": str(tmp_path / "t.safetensors")})), tmp_path / "job")


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemoryGpu),
        (MemoryError(), OutOfMemoryHost),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."), OutOfMemoryHost),
    ],
)
def test_memory_errors_have_a_code_and_a_remedy(raised: Exception, becomes: type[RetortError]) -> None:
    with pytest.raises(becomes) as caught, memory_errors():
        raise raised
    assert "batch_size" in caught.value.remedy


def test_a_diverged_run_fails_with_the_norms_of_its_layers(tmp_path: Path, teacher: TeacherInput) -> None:
    with pytest.raises(Diverged) as caught:
        go(spec(teacher, learning_rate=1e18, epochs=30), tmp_path)
    details = caught.value.details
    assert details["step"] >= 1
    assert details["last_losses"]
    assert len(details["layer_norms"]["student"]) == 2
    json.dumps(caught.value.to_dict(), allow_nan=False)
    assert not (tmp_path / "artifacts").exists()


def test_stop_finishes_with_the_best_so_far(tmp_path: Path, teacher: TeacherInput) -> None:
    control = Control()

    def stop(event: Event) -> None:
        control.stop = control.stop or (event.kind == "metrics" and event.data["split"] == "validation")

    events = go(spec(teacher, epochs=500), tmp_path, control, stop)
    result = next(event.data for event in events if event.kind == "result")
    assert result["training"]["ending"] == "stopped"
    assert result["training"]["steps"] < 20
    assert events[-1].kind == "done"
    assert load_student(tmp_path / "artifacts" / "student.safetensors").architecture == STUDENT


@pytest.mark.parametrize("changes", [{"student_layers": ["pool"]}, {"teacher_layers": ["pool"]}])
def test_layers_that_leave_a_recipe_nothing_are_refused_before_scoring(
    teacher: TeacherInput, tmp_path: Path, changes: dict[str, Any]
) -> None:
    seen: list[str] = []
    asked = spec(teacher, recipe="attention_transfer", layers=1, **changes)
    with pytest.raises(InvalidConfig):
        go(asked, tmp_path, watch=lambda event: seen.append(event.kind))
    assert "layer_quality" not in seen
