"""Several teachers of one student: each its own curve, layers and view of a picture, the mean of their logits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import recipes
from distill.control import Control
from distill.errors import InvalidConfig
from distill.models import build, save
from distill.student import load_student
from distill.tasks import spec as task_spec
from distill.tasks.several_teachers import unfit
from distill.tasks.teacher_set import TeacherSet
from distill.teacher_classes import Known, match_set
from distill.types import Architecture, Event, TeacherInput, TeacherPreprocessing
from tests.recipes.soon import soon
from tests.run.conftest import TEACHER, config, go, sha256, spec

pytestmark = pytest.mark.long

WIDE = Architecture(name="retort:resnet8", options={"width": 12})
VIT = Architecture(
    name="timm:vit_tiny_patch16_224",
    options={"img_size": 16, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 2},
)
SMALL: dict[str, Any] = {"max_steps": 3, "train_limit": 120, "test_limit": 60, "quality_samples": 30}
TAKING = [name for name in recipes.names() if recipes.several_teachers(name)]


def made(folder: Path, architecture: Architecture, classes: int = 10, **changes: Any) -> TeacherInput:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    grey = architecture.name.startswith("retort:")
    names = changes.pop("names", None)
    header = {"classes": json.dumps(names)} if names else {}
    save(build(architecture, classes, 1 if grey else 3, None if grey else 16), folder / "t.safetensors", header)
    weights = str(folder / "t.safetensors")
    digest = sha256(Path(weights))
    return TeacherInput(architecture=architecture, weights=weights, num_classes=classes, digest=digest, **changes)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[TeacherInput, TeacherInput]:
    """A wider ResNet that was shown pictures in another way, and a ViT in colour of another size without a head."""
    folder = tmp_path_factory.mktemp("others")
    told = TeacherPreprocessing.model_validate({"mean": [0.1], "std": [0.9], "input_size": 12})
    return made(folder / "wide", WIDE, preprocessing=told, label="wide"), made(folder / "vit", VIT, 0, label="vit")


@pytest.fixture(scope="module")
def finished(
    teacher: TeacherInput, others: tuple[TeacherInput, TeacherInput], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], Path]:
    folder = tmp_path_factory.mktemp("set")
    set_ = (teacher.model_copy(update={"label": "good"}), *others)
    events = go(spec(set_, teacher_weights=[2, 1, 1], augmentation="crop_flip", **SMALL), folder)
    return events, folder


def test_each_teacher_has_its_own_curve_layers_and_column(finished: tuple[list[Event], Path]) -> None:
    events, folder = finished
    assert [event.kind for event in events[-2:]] == ["result", "done"]
    frames = [event.data for event in events if event.kind == "layers"]
    assert [frame["teacher"] for frame in frames] == [0, 1, 2]
    assert len({frame["digest"] for frame in frames}) == 3
    for frame in frames:
        points = [e.data for e in events if e.kind == "layer_quality" and e.data["teacher"] == frame["teacher"]]
        assert len(points) == frame["total_layers"]
    chosen = [event.data for event in events if event.kind == "selection"]
    assert [each["teacher"] for each in chosen] == [0, 1, 2]
    assert len({tuple(each["teacher_layers"]) for each in chosen}) == 3
    assert len({tuple(each["student_layers"]) for each in chosen}) == 1
    report = json.loads((folder / "artifacts/report.json").read_text())
    good, wide, vit = report["teachers"]
    assert [each["label"] for each in (good, wide, vit)] == ["good", "wide", "vit"]
    assert [each["weight"] for each in (good, wide, vit)] == [0.5, 0.25, 0.25]
    assert good["accuracy"]["n"] == wide["accuracy"]["n"] == 60
    assert "accuracy" not in vit
    assert vit["probe"]["layer"] == chosen[2]["teacher_layers"][-1]
    assert [each["selection"]["teacher_layers"] for each in (good, wide, vit)] == [e["teacher_layers"] for e in chosen]
    assert [each["q_curve"]["digest"] for each in (good, wide, vit)] == [frame["digest"] for frame in frames]
    assert "vit" in report["teacher"]["other_classes"]
    assert wide["preprocessing"]["mean"] == [0.1]
    assert report["configuration"]["teacher_weights"] == [0.5, 0.25, 0.25]
    assert {"teacher_1", "teacher_2", "teacher_3"} <= report["digests"].keys()
    words = (folder / "artifacts/report.md").read_text()
    assert all(f"{name} -> student" in words for name in ("good", "wide", "vit"))
    for number in ("", "-2", "-3"):
        assert (folder / f"artifacts/q-curve{number}.json").is_file()
    result = next(event.data for event in events if event.kind == "result")
    assert [each["label"] for each in result["teachers"]] == ["good", "wide", "vit"]
    load_student(folder / "artifacts/student.safetensors")


@pytest.mark.parametrize("name", [soon(name, now=name in ("feature_logit", "logit")) for name in TAKING])
def test_every_recipe_that_takes_several_learns_from_two(
    tmp_path: Path, teacher: TeacherInput, others: tuple[TeacherInput, TeacherInput], name: str
) -> None:
    mixed = {"mixup": 0.2, "cutmix": 1.0} if name == "logit" else {}
    events = go(spec((teacher, others[0]), recipe=name, **SMALL, **mixed), tmp_path)
    assert events[-1].kind == "done"
    report = json.loads((tmp_path / "artifacts/report.json").read_text())
    assert report["teacher"]["accuracy"]["n"] == 60
    assert report["teacher"]["parameters"] == sum(each["parameters"] for each in report["teachers"])
    assert report["student"]["agreement"]["n"] == 60


@pytest.mark.parametrize("name", [name for name in recipes.names() if name not in TAKING])
def test_the_others_say_so(name: str) -> None:
    found = list(unfit(task_spec("classify_images"), config(recipe=name), ["a", "b"]))
    assert [each.field for each in found] == ["recipe"]
    assert "feature_only" in found[0].remedy


@pytest.mark.parametrize(
    ("field", "task", "labels", "changes"),
    [
        ("teacher_weights", "classify_images", ["a"], {"teacher_weights": [1, 1]}),
        ("teacher_weights", "classify_images", ["a", "b"], {"teacher_weights": [1]}),
        ("teacher", "classify_images", ["a", "a"], {}),
        ("teacher", "classify_images", list("abcdefghi"), {}),
        ("teacher", "segment_images", ["a", "b"], {}),
        ("teacher", "classify_text", ["a", "b"], {}),
        ("teacher_layers", "classify_images", ["a", "b"], {"teacher_layers": ["x", "y"]}),
    ],
)
def test_teachers_that_cannot_teach_together_are_refused(
    field: str, task: str, labels: list[str], changes: dict[str, Any]
) -> None:
    assert [each.field for each in unfit(task_spec(task), config(**changes), labels)] == [field]


def test_logits_are_averaged_by_their_weights() -> None:
    one, other = torch.nn.Linear(3, 4), torch.nn.Linear(5, 4)
    inputs = torch.randn(6, 3), torch.randn(6, 5)
    expected = (3 * one(inputs[0]) + other(inputs[1])) / 4
    torch.testing.assert_close(TeacherSet([one, other], (3.0, 1.0))(*inputs), expected)
    soft = (expected / 4).softmax(1)  # the geometric mean of the softened probabilities, at any temperature
    p, q = ((net(x) / 4).softmax(1) for net, x in zip((one, other), inputs, strict=True))
    mean = p.pow(0.75) * q.pow(0.25)
    torch.testing.assert_close(soft, mean / mean.sum(1, keepdim=True))


def test_a_set_of_twins_teaches_as_one_of_them(tmp_path: Path, teacher: TeacherInput) -> None:
    """The same file twice under two names: the loss of the first step is that of one teacher."""
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(teacher.weights).read_bytes())
    twin = teacher.model_copy(update={"weights": str(copy)})
    small = SMALL | {"max_steps": 1, "recipe": "feature_logit", "recipe_parameters": {"feature_loss": "cka"}}
    losses = []
    for name, given in (("one", teacher), ("two", (teacher, twin))):
        events = go(spec(given, **small), tmp_path / name)
        losses.append(next(e.data["values"] for e in events if e.kind == "metrics" and e.data["split"] == "train"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_run_continues_with_its_curves(
    tmp_path: Path, teacher: TeacherInput, others: tuple[TeacherInput, TeacherInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec((teacher, others[1]), **(SMALL | {"max_steps": 6, "epochs": 10}))
    control = Control()
    events = go(given, tmp_path, control, _handing_over(control))
    assert events[-1].kind != "done"
    checkpoint = [event.data["path"] for event in events if event.kind == "checkpoint"][-1]
    monkeypatch.setattr("distill.running.scoring.score", _never)
    again = go(given.model_copy(update={"resume_from": checkpoint}), tmp_path / "again")
    assert again[-1].kind == "done"


def _handing_over(control: Control) -> Callable[[Event], None]:
    def watch(event: Event) -> None:
        if event.kind == "metrics":
            control.handover = True

    return watch


def _never(*_: object, **__: object) -> None:
    raise AssertionError("scored again")


def test_clashing_classes_are_refused_by_name(
    tmp_path: Path, teacher: TeacherInput, others: tuple[TeacherInput, TeacherInput]
) -> None:
    seven = made(tmp_path, TEACHER, 7, label="seven")
    with pytest.raises(InvalidConfig) as caught:
        go(spec((teacher, seven), recipe="logit", **SMALL), tmp_path / "run")
    assert "seven" in caught.value.message
    assert "seven" in caught.value.remedy
    assert "feature_only" in caught.value.remedy


@pytest.mark.parametrize(
    ("first", "second", "ours", "said", "same"),
    [
        (["a", "b"], ["a", "b"], ["a", "b"], "auto", True),
        (["a", "b"], [], ["a", "b"], "auto", True),
        (["a", "b"], ["b", "a"], ["0", "1"], "auto", False),
        (["a", "b"], ["c", "d"], ["0", "1"], "auto", False),
        (["a", "b"], ["c", "d"], ["0", "1"], "same", True),
        (["a", "b"], ["b", "a"], ["0", "1"], "same", False),
        (["a", "b"], ["x", "y"], ["a", "b"], "auto", False),
    ],
)
def test_teachers_must_mean_the_same_by_one_logit(
    first: list[str], second: list[str], ours: list[str], said: Any, same: bool
) -> None:
    whole, each = match_set([Known("one", 2, first), Known("two", 2, second)], 2, ours, said)
    assert whole.same is same
    assert len(each) == 2
    if not same:
        assert "two" in whole.unlike
