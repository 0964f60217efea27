"""Teachers of other classes, or of none: recipes of features learn from them, others refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import recipes
from distill.errors import InvalidConfig
from distill.models import build, save
from distill.recipes import reads_logits
from distill.student import load_student
from distill.teacher_classes import Known, match_classes, match_set, refusal
from distill.types import Architecture, DistillConfig, TeacherInput
from tests.recipes.soon import soon
from tests.run.conftest import TEACHER, go, sha256, spec

pytestmark = pytest.mark.long

VIT = Architecture(name="timm:vit_tiny_patch16_224", options={"img_size": 16, "patch_size": 8, "depth": 3})
CONVNEXT = Architecture(name="timm:convnext_atto", options={"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]})
SMALL: dict[str, Any] = {"max_steps": 2, "train_limit": 120, "test_limit": 60, "quality_samples": 30}
FEATURES_ALONE = {"feature_logit": {"kl": False}, "semckd": {"logit_weight": 0}}


def made(folder: Path, architecture: Architecture, classes: int, names: list[str] | None = None) -> TeacherInput:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    grey = architecture.name.startswith("retort:")
    header = {"classes": json.dumps(names)} if names else {}
    save(build(architecture, classes, 1 if grey else 3, None if grey else 16), folder / "t.safetensors", header)
    weights = str(folder / "t.safetensors")
    return TeacherInput(architecture=architecture, weights=weights, num_classes=classes, digest=sha256(Path(weights)))


@pytest.mark.parametrize(
    "recipe", [soon(name, now=name in ("crd", "dkd")) for name in recipes.without("needs_regions")]
)
def test_a_recipe_that_reads_logits_refuses_it_and_says_which_do_not(tmp_path: Path, recipe: str) -> None:
    teacher = made(tmp_path, TEACHER, 7)
    if reads_logits(recipe, {}):
        with pytest.raises(InvalidConfig) as caught:
            go(spec(teacher, recipe=recipe, **SMALL), tmp_path / "run")
        assert recipe in caught.value.message
        assert "feature_only" in caught.value.remedy
    parameters = FEATURES_ALONE.get(recipe, {})
    if not reads_logits(recipe, parameters):
        events = go(spec(teacher, recipe=recipe, recipe_parameters=parameters, **SMALL), tmp_path / "run")
        assert events[-1].kind == "done"


@pytest.mark.parametrize("counts", [[7], [0], [7, 0]])
def test_without_labels_only_recipes_that_want_none_are_named(counts: list[int]) -> None:
    match, _ = match_set([Known(f"teacher {count}", count) for count in counts], 0, ())
    found = refusal(match, DistillConfig(recipe="logit"), lambda _: True)
    assert found is not None
    assert "feature_only" in found.remedy
    assert not any(name in found.remedy for name in ("crd", "cross_entropy", "teacher 7"))


@pytest.mark.parametrize("architecture", [VIT, CONVNEXT], ids=lambda a: a.name)
def test_a_backbone_without_a_classifier_teaches(tmp_path: Path, architecture: Architecture) -> None:
    """Its column of the report, the card and the metrics have the linear probe, named as such, and no accuracy."""
    teacher = made(tmp_path, architecture, 0)
    events = go(spec(teacher, **SMALL), tmp_path / "run")
    assert events[-1].kind == "done"
    report = json.loads((tmp_path / "run/artifacts/report.json").read_text())
    column, deepest = report["teacher"], report["selection"]["teacher_layers"][-1]
    assert not {"accuracy", "agreement", "per_class", "loss"} & column.keys()
    assert 0.1 < column["linear_probe"]["value"] <= 1
    assert column["linear_probe"]["n"] == 60
    assert column["probe"]["layer"] == deepest
    assert report["against_teacher"] is None
    assert "agreement" not in report["student"]
    assert report["configuration"]["teacher_classes"] == "other"
    assert report["reasons"]["teacher_classes"].startswith("other: ")
    tested = next(e.data for e in events if e.kind == "metrics" and e.data["split"] == "test")["values"]
    assert tested["teacher_linear_probe"] == column["linear_probe"]["value"]
    assert "teacher_accuracy" not in tested
    result = next(event.data for event in events if event.kind == "result")
    assert result["teacher"]["linear_probe"] == column["linear_probe"]
    card = (tmp_path / "run/artifacts/README.md").read_text()
    assert "linear probe" in card
    assert f"{100 * column['linear_probe']['value']:.2f} %" in card
    assert "linear probe" in (tmp_path / "run/artifacts/report.md").read_text()
    load_student(tmp_path / "run/artifacts/student.safetensors")


def test_a_curve_has_the_datasets_labels(tmp_path: Path) -> None:
    events = go(spec(made(tmp_path, TEACHER, 7), **SMALL), tmp_path / "run")
    frame = next(event.data for event in events if event.kind == "layers")
    assert frame["classes"] == 10


def test_as_many_classes_under_other_names_are_others_unless_the_user_says_not(tmp_path: Path) -> None:
    names = [f"kind {letter}" for letter in "abcdefghij"]
    dataset_names = [f"class of {letter}" for letter in "abcdefghij"]
    assert not match_classes(10, names, 10, dataset_names).same
    assert match_classes(10, names, 10, dataset_names, "same").same
    assert match_classes(10, names, 10, [name.upper() for name in names]).same
    assert not match_classes(10, names[::-1], 10, names, "same").same


@pytest.mark.parametrize(
    "names", [[], [f"LABEL_{i}" for i in range(3)], ["0", "1", "2"], ["class 0", "class 1", "class 2"]]
)
def test_classes_without_real_names_are_believed_by_their_number(names: list[str]) -> None:
    assert match_classes(3, names, 3, ["cat", "dog", "fox"]).same
    assert not match_classes(4, names, 3, ["cat", "dog", "fox"]).same


@pytest.mark.parametrize("classes", [0, 7])
def test_what_the_user_says_of_the_classes_must_be_possible(tmp_path: Path, classes: int) -> None:
    teacher = made(tmp_path, CONVNEXT if not classes else TEACHER, classes)
    with pytest.raises(InvalidConfig, match="cannot be"):
        go(spec(teacher, teacher_classes="same", max_steps=1), tmp_path / "run")


def test_who_says_that_the_classes_are_others_gets_no_accuracy(tmp_path: Path, teacher: TeacherInput) -> None:
    with pytest.raises(InvalidConfig, match="logits"):
        go(spec(teacher, recipe="logit", teacher_classes="other", max_steps=1), tmp_path / "logit")
    go(spec(teacher, teacher_classes="other", **SMALL), tmp_path / "run")
    report: dict[str, Any] = json.loads((tmp_path / "run/artifacts/report.json").read_text())
    assert "accuracy" not in report["teacher"]
    assert report["teacher"]["linear_probe"]["value"] > 0.6  # a teacher of digits, though nobody believes its head
