"""Networks that a recipe delivers beside the student: SimKD's composite, as its authors deploy it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from distill.errors import InvalidTeacher
from distill.modalities.images import open_dataset
from distill.student import load_student
from distill.types import Event, TeacherInput
from tests.run.conftest import DIGITS, TEACHER, go, spec
from tests.run.test_other_classes import SMALL, made

Run = tuple[list[Event], Path]


@pytest.fixture(scope="module")
def finished(teacher: TeacherInput, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("simkd")
    return go(
        spec(teacher, recipe="simkd", ema_decay=0.9, epochs=3, exports=["torch-export"]), folder
    ), folder / "artifacts"


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_the_composite_has_its_own_column_and_line(finished: Run) -> None:
    events, folder = finished
    report = report_of(folder)
    composite, student = report["companions"]["composite"], report["student"]
    assert composite["accuracy"]["n"] == student["accuracy"]["n"]
    assert composite["accuracy"]["value"] != student["accuracy"]["value"]
    assert composite["parameters"] > student["parameters"]
    assert composite["flops"] > student["flops"]
    assert composite["bytes"] == (folder / "composite.safetensors").stat().st_size
    heading = next(line for line in (folder / "report.md").read_text().splitlines() if line.startswith("| |"))
    assert "composite" in heading
    result = next(event.data for event in events if event.kind == "result")
    assert result["companions"]["composite"]["accuracy"] == composite["accuracy"]
    assert "composite.safetensors" in (folder / "README.md").read_text()


def test_a_downloaded_composite_predicts_as_it_was_evaluated(finished: Run, tmp_path: Path) -> None:
    _, folder = finished
    composite = load_student(folder / "composite.safetensors")
    test = open_dataset(DIGITS, scratch=tmp_path).test
    pictures, labels = test.cached(torch.device("cpu")), test.labels
    from PIL import Image

    images = [Image.fromarray(picture[0].numpy()) for picture in pictures]
    right = sum(p.index == label for p, label in zip(composite.predict(images), labels.tolist(), strict=True))
    share = report_of(folder)["companions"]["composite"]["accuracy"]
    assert right == pytest.approx(share["value"] * share["n"])


def test_the_file_holds_the_layers_that_run_and_no_others(finished: Run) -> None:
    _, folder = finished
    names = set(load_file(folder / "composite.safetensors"))
    assert {name.partition(".")[0] for name in names} == {"student", "projector", "teacher"}
    assert {name for name in names if name.startswith("teacher.")} == {"teacher.head.weight", "teacher.head.bias"}
    assert not any(name.startswith("student.head") for name in names)


def test_the_composite_is_exported_too(finished: Run) -> None:
    _, folder = finished
    composite = load_student(folder / "composite.safetensors")
    images = torch.randn(3, *composite.preprocessing.example(2).shape[1:])
    with torch.inference_mode():
        found = torch.export.load(folder / "composite.pt2").module()(images)
        torch.testing.assert_close(found, composite.model(images), rtol=1e-3, atol=1e-4)
    entries = json.loads((folder / "exports.json").read_text())["exports"]
    assert [each["network"] for each in entries] == ["student", "composite"]


@pytest.mark.parametrize("what", ["tensors", "header"])
def test_a_composite_that_does_not_fit_together_is_refused(finished: Run, what: str, tmp_path: Path) -> None:
    path = finished[1] / "composite.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    if what == "tensors":
        del tensors["teacher.head.bias"]
    else:
        metadata["composite"] = "{}"
    save_file(tensors, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(InvalidTeacher):
        load_student(tmp_path / "odd.safetensors")


def test_other_recipes_deliver_the_student_alone(teacher: TeacherInput, tmp_path: Path) -> None:
    go(spec(teacher, recipe="logit", epochs=1), tmp_path)
    assert report_of(tmp_path / "artifacts")["companions"] == {}
    assert not list((tmp_path / "artifacts").glob("composite*"))


def test_a_classifier_of_other_classes_is_no_part_of_what_is_delivered(tmp_path: Path) -> None:
    other = made(tmp_path / "teacher", TEACHER, 7)
    events = go(spec(other, recipe="simkd", **SMALL), tmp_path)
    assert events[-1].kind == "done"
    report = report_of(tmp_path / "artifacts")
    assert report["companions"] == {}
    assert any("composite" in note and "7 classes" in note for note in report["notes"])
