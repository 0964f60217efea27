"""A run that is handed over in any phase ends with the student of an undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill.control import Control
from distill.types import Event, TeacherInput
from tests.run.conftest import go, sha256, spec


@pytest.fixture(scope="module")
def undisturbed(teacher: TeacherInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    go(spec(teacher), folder)
    return folder / "artifacts"


@pytest.mark.parametrize(
    ("kind", "number"),
    [("layer_quality", 3), ("selection", 1), ("checkpoint", 1), ("metrics", 3), ("metrics", 9)],
)
def test_handover_and_resume(
    tmp_path: Path, teacher: TeacherInput, undisturbed: Path, kind: str, number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    control, seen = Control(), 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.kind == kind
        control.handover = seen >= number

    events = go(spec(teacher), tmp_path / "first", control, watch)
    assert events[-1].kind != "done"
    checkpoints = [event.data["path"] for event in events if event.kind == "checkpoint"]
    newest = checkpoints[-1] if checkpoints else None
    if newest:  # the curve travels in the checkpoint

        def never(*_: object, **__: object) -> None:
            raise AssertionError("scored again")

        monkeypatch.setattr("distill.running.scoring.score", never)
    folder = tmp_path / "second"  # another worker has nothing but the checkpoint
    resumed = go(spec(teacher, resume_from=newest), folder)
    assert resumed[-1].kind == "done"
    artifacts = folder / "artifacts"
    one, other = (json.loads((place / "report.json").read_text()) for place in (undisturbed, artifacts))
    assert one["digests"] == other["digests"]
    assert one["student"]["accuracy"] == other["student"]["accuracy"]
    assert sha256(undisturbed / "student.safetensors") == sha256(artifacts / "student.safetensors")
    assert sum(1 for _ in (artifacts / "training.csv").open()) >= sum(1 for _ in (undisturbed / "training.csv").open())


def test_a_finished_curve_in_the_folder_is_not_scored_again(
    tmp_path: Path, teacher: TeacherInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control()

    def leave(event: Event) -> None:
        control.handover = event.kind == "selection"

    go(spec(teacher), tmp_path, control, leave)
    monkeypatch.setattr("distill.running.scoring.score", None)
    assert go(spec(teacher, max_steps=2), tmp_path)[-1].kind == "done"
