"""A distilled classifier whose int8 file was trained with rounding: within its job, and asked for later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.control import Control
from distill.run import run
from distill.types import ComparisonInput, ExportInput, ExportRequest
from tests.tasks.house import House, go
from tests.tasks.test_exports import answer_of, pictured

AWARE = {"quantisation_aware": True, "quantisation_epochs": 1}


@pytest.fixture(scope="module")
def job(house: Callable[[str], House], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; the job has both kinds of int8."""
    folder = tmp_path_factory.mktemp("aware")
    wanted = [{"format": "onnx-int8", "parameters": {"calibration_samples": 32}, "max_drop": 1}]
    wanted.append({"format": "onnx-int8", "parameters": AWARE | {"pixels": True}, "max_drop": 1})
    events = go(house("classify_images").spec(recipe="feature_only", exports=wanted), folder)
    assert events[-1].kind == "done"
    return folder


def said(artifacts: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifacts / "exports.json").read_text())
    return found


def test_a_job_delivers_it_beside_the_calibrated_one(job: Path) -> None:
    found = said(job / "artifacts")
    assert not found["failed"]
    calibrated, aware = found["exports"]
    names = [each["files"][0]["name"] for each in found["exports"]]
    assert names == ["student.int8.onnx", "student.qat.pixels.int8.onnx"]
    assert "quantisation_aware" not in calibrated
    told = aware["quantisation_aware"]
    assert (told["epochs"], told["learning_rate"]) == (1, pytest.approx(3e-4))
    assert told["steps"] > 0
    assert told["projectors"]["steps"] == told["steps"]
    assert told["projectors"]["learning_rate"] == pytest.approx(3e-3)
    assert aware["figure"]["n"] == calibrated["figure"]["n"]
    assert aware["input"]["name"] == "pixels"


def test_its_program_runs_without_retort(job: Path) -> None:
    artifacts = pictured(job)
    assert answer_of(said(artifacts)["exports"][1]["snippet"], artifacts) in {str(number) for number in range(10)}


def test_it_can_be_asked_for_later(job: Path, house: Callable[[str], House], tmp_path: Path) -> None:
    """Of a job that chose its recipe too."""
    spec, artifacts = house("classify_images").spec(recipe="auto"), job / "artifacts"
    student = ComparisonInput(
        label="student",
        architecture=spec.student,
        weights=str(artifacts / "student.safetensors"),
        recipe="feature_only",
    )
    request = ExportRequest(format="onnx-int8", parameters=AWARE, max_drop=1)
    given = ExportInput(requests=(request,), student=student, report=str(artifacts / "report.json"))
    asked, control, before = spec.model_copy(update={"export": given}), Control(), list[str]()
    for event in run(asked, tmp_path / "paused", control):  # while the projectors are trained
        before.append(event.kind)
        control.handover |= event.kind == "log"
    assert not {"artifact", "result", "done"} & set(before)
    assert go(asked, tmp_path)[-1].kind == "done"
    (entry,) = said(tmp_path / "artifacts")["exports"]
    assert entry["files"][0]["name"] == "student.qat.int8.onnx"
    assert entry["quantisation_aware"]["steps"] == said(artifacts)["exports"][1]["quantisation_aware"]["steps"]
