"""A teacher that knows nothing, or knows the classes in another order, is found by its answers before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from distill.control import Control
from distill.models import build
from distill.run import run
from distill.tasks.teacher_answers import Answers, judged, kappa
from distill.types import Event, RunSpec, TeacherInput
from tests.run.conftest import TEACHER, go, sha256, spec

CLASSES = [f"class {number}" for number in range(10)]


def answers(accuracy: float, n: int = 400, classes: int = 10, order: torch.Tensor | None = None) -> Answers:
    """Labels in order of the classes; a share `accuracy` answered rightly, the rest at random."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) * classes // n
    drawn = torch.randint(classes, (n,), generator=generator)
    said = torch.where(torch.rand(n, generator=generator) < accuracy, labels, drawn)
    return Answers(labels, said if order is None else order[said], classes)


def codes(found: Answers, names: list[str]) -> list[str]:
    return [each.code for each in judged(found, names)]


@pytest.mark.parametrize(
    ("accuracy", "expected"), [(0.0, ["teacher_near_chance"]), (0.05, ["teacher_near_chance"]), (0.3, []), (0.95, [])]
)
def test_near_chance_is_told_and_a_weak_teacher_is_not_blamed(accuracy: float, expected: list[str]) -> None:
    found = answers(accuracy)
    assert codes(found, CLASSES) == expected
    for each in judged(found, CLASSES):
        assert each.details == {"accuracy": found.accuracy, "kappa": kappa(found), "n": 400}


def test_always_the_commonest_class_is_chance_however_common() -> None:
    labels = (torch.arange(1000) % 100 == 0).long()
    assert codes(Answers(labels, torch.zeros_like(labels), 2), ["no", "yes"]) == ["teacher_near_chance"]
    assert codes(Answers(labels, labels, 2), ["no", "yes"]) == []


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_rows_judge_nobody(n: int) -> None:
    labels = torch.zeros(n, dtype=torch.int64)
    assert codes(Answers(labels, labels + 1, 2), ["a", "b"]) == []


def test_tokens_have_a_chance_level_and_no_order() -> None:
    found = answers(0.9, classes=50, order=torch.arange(50).roll(1))
    assert codes(found, []) == ["teacher_near_chance"]


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("accuracy", [0.5, 0.9])
def test_a_permutation_is_found_with_its_mapping(classes: int, accuracy: float) -> None:
    names = [str(number) for number in range(classes)]
    order = torch.arange(classes).roll(1)
    (found,) = judged(answers(accuracy, n=40 * classes, classes=classes, order=order), names)
    assert found.code == "teacher_permuted"
    assert found.details["accuracy_mapped"] > found.details["accuracy"]
    mapping = found.details["mapping"]
    assert mapping == {name: names[int(order[i])] for i, name in enumerate(names[:50])}


def test_two_exchanged_classes_are_named_and_the_others_are_not() -> None:
    order = torch.tensor([0, 2, 1, *range(3, 10)])
    (found,) = judged(answers(0.95, order=order), CLASSES)
    assert found.details["mapping"] == {"class 1": "class 2", "class 2": "class 1"}


@pytest.mark.parametrize("classes", [10, 300, 1000])
def test_noise_is_no_permutation(classes: int) -> None:
    """An assignment fitted to a few answers of each class explains many of them; on others it explains none."""
    found = answers(0.0, n=1000, classes=classes)
    assert "teacher_permuted" not in codes(found, [str(number) for number in range(classes)])


# ---- within a run


def altered(given: TeacherInput, folder: Path, how: str) -> TeacherInput:
    """The teacher without a header; its last layer's rows rolled by one, or all its weights drawn at random."""
    state = load_file(given.weights)
    if how == "permuted":
        state |= {name: state[name].roll(1, 0) for name in ("head.weight", "head.bias")}
    if how == "random":
        torch.manual_seed(5)
        state = build(TEACHER, 10, 1, 8).state_dict()
    with safe_open(given.weights, "pt") as file:
        view = {"preprocessing": file.metadata()["preprocessing"]}
    path = folder / f"{how}.safetensors"
    save_file(state, path, view)
    return given.model_copy(update={"weights": str(path), "digest": sha256(path)})


def until_training(given: RunSpec, folder: Path) -> list[Event]:
    """The events before the first step."""
    events: list[Event] = []
    running: Any = run(given, folder, Control())
    for event in running:
        events.append(event)
        if event.kind == "resolved":
            break
    running.close()
    return events


@pytest.mark.parametrize(
    ("how", "expected"), [("same", []), ("permuted", ["teacher_permuted"]), ("random", ["teacher_near_chance"])]
)
def test_a_run_warns_before_it_scores(teacher: TeacherInput, tmp_path: Path, how: str, expected: list[str]) -> None:
    events = until_training(spec(altered(teacher, tmp_path, how), train_limit=None), tmp_path / "run")
    warned = [event.data for event in events if event.kind == "warning"]
    assert [each["code"] for each in warned] == expected
    kinds = [event.kind for event in events]
    assert all(kinds.index("warning") < kinds.index("layer_quality") for _ in warned)
    logged = [event.data["message"] for event in events if event.kind == "log" and event.data["level"] == "warning"]
    assert all(any(each["message"] in line for line in logged) for each in warned)
    if how == "permuted":
        assert warned[0]["details"]["mapping"]["0"] == "1"


def test_recipes_that_learn_from_labels_alone_do_not_ask_the_teacher(teacher: TeacherInput, tmp_path: Path) -> None:
    given = altered(teacher, tmp_path, "random")
    events = until_training(spec(given, recipe="cross_entropy"), tmp_path / "run")
    assert not any(event.kind == "warning" for event in events)


def test_the_look_changes_no_bit_of_the_student(
    teacher: TeacherInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for name in ("looked", "not"):
        if name == "not":
            monkeypatch.setattr("distill.run.look_at_teacher", lambda session: [])
        go(spec(teacher, recipe="feature_logit", epochs=1, augmentation="crop_flip"), tmp_path / name)
        report = json.loads((tmp_path / name / "artifacts" / "report.json").read_text())
        digests.append((report["digests"]["student"], report["q_curve"]["digest"]))
    assert digests[0] == digests[1]


def test_the_report_and_a_continued_run_keep_the_warning(teacher: TeacherInput, tmp_path: Path) -> None:
    given = spec(altered(teacher, tmp_path, "permuted"), recipe="logit", epochs=2, train_limit=None)
    control = Control()

    def leave(event: Event) -> None:
        control.handover = control.handover or event.kind == "checkpoint"

    go(given, tmp_path / "run", control, leave)
    newest = max((tmp_path / "run" / "checkpoints").glob("*.pt*"), key=lambda path: path.stat().st_mtime)
    events = go(given.model_copy(update={"resume_from": str(newest)}), tmp_path / "run")
    assert events[-1].kind == "done"
    assert not any(event.kind == "warning" for event in events)
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    assert [each["code"] for each in report["warnings"]] == ["teacher_permuted"]
    assert "**Warning.**" in (tmp_path / "run" / "artifacts" / "report.md").read_text()
