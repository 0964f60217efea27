"""torchvision's detectors go the whole way, and teach detectors of other kinds by their features alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from distill import recipes, tasks
from distill.errors import InvalidConfig
from distill.layers import discover
from distill.models import build, save
from distill.recipe_parts.base import Setup
from distill.student import load_student
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.heads import head_of
from distill.types import (
    Architecture,
    DatasetInput,
    DistillConfig,
    RunSpec,
    TeacherInput,
    TeacherPreprocessing,
)
from tests.detection.made_up import CLASSES, batch, coco_zip, picture
from tests.tasks.house import go
from tests.tasks.tiny.detect_objects import STUDENT

RETINA = Architecture(name="torchvision:retinanet_resnet50_fpn", options={"backbone": "resnet18"})
SSD = Architecture(name="torchvision:ssdlite320_mobilenet_v3_large", options={"backbone": "mobilenet_v3_small"})
RCNN = Architecture(
    name="torchvision:fasterrcnn_resnet50_fpn", options={"backbone": "mobilenet_v3_small", "proposals": 24}
)
LAST = {RETINA.name: "pyramid", SSD.name: "backbone.features.0", RCNN.name: "pyramid"}
SETTINGS: dict[str, Any] = {
    "device": "cpu", "precision": "fp32", "image_size": 64, "batch_size": 8, "max_steps": 1, "layers": 1,
    "learning_rate": 1e-4,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    torch.set_num_threads(1)
    return coco_zip(tmp_path_factory.mktemp("boxes"), 12, 3)


def name_of(architecture: Architecture) -> str:
    return architecture.name.partition(":")[2].partition("_")[0]


def teacher_of(architecture: Architecture, folder: Path, classes: int = len(CLASSES), seed: int = 0) -> TeacherInput:
    torch.manual_seed(seed)
    path = folder / "teacher.safetensors"
    save(build(architecture, classes), path)
    return TeacherInput(architecture=architecture, weights=str(path), num_classes=classes, digest="0" * 64)


def test_it_is_trained_evaluated_written_and_read_back(dataset: DatasetInput, tmp_path: Path) -> None:
    config = DistillConfig(recipe="cross_entropy", **SETTINGS)
    assert go(RunSpec(config=config, student=SSD, dataset=dataset), tmp_path)[-1].kind == "done"
    _reads_back(tmp_path, SSD)


def _reads_back(folder: Path, student: Architecture) -> None:
    report = json.loads((folder / "artifacts" / "report.json").read_text())
    assert report["student"]["ap"]["value"] >= 0
    again = load_student(folder / "artifacts" / "student.safetensors")
    assert (again.classes, again.architecture) == (CLASSES, student)
    again.predict(Image.fromarray(picture(200)[0]))


@pytest.mark.parametrize("teacher", [RETINA, SSD, RCNN], ids=name_of)
def test_its_logits_teach_no_other_kind_and_its_features_do(
    teacher: Architecture, dataset: DatasetInput, tmp_path: Path
) -> None:
    """The refusal names the recipes that would do; layers pair whatever the kind."""
    layers = {"teacher_layers": [LAST[teacher.name]], "student_layers": ["pyramid"]}
    config = DistillConfig(recipe="feature_only", **SETTINGS, **layers)
    given = RunSpec(config=config, student=STUDENT, dataset=dataset, teacher=teacher_of(teacher, tmp_path))
    for recipe in ("logit", "feature_logit", "blockwise_logit"):
        refused = given.model_copy(update={"config": config.model_copy(update={"recipe": recipe})})
        with pytest.raises(InvalidConfig) as caught:
            _ = tasks.get("detect_objects")(refused, tmp_path / "refused").student
        assert caught.value.details["field"] == "recipe"
        would_do = set(caught.value.remedy[:-1].split(": ", 1)[1].split(", "))
        assert {"feature_only", "feature_logit with kl: false"} <= would_do
    if teacher is SSD:  # the others' pyramids are read as ours
        assert go(given, tmp_path / "run")[-1].kind == "done"


FAMILIES = [RETINA, SSD, RCNN, Architecture(name="torchvision:fcos_resnet50_fpn", options={"backbone": "resnet18"})]


@pytest.mark.parametrize("architecture", FAMILIES, ids=name_of)
def test_features_alone_train_what_stands_up_to_the_last_layer(architecture: Architecture) -> None:
    """By gradients: of every parameter that the features reach, the labels reach none, and the other way round."""
    side, last = 64, LAST.get(architecture.name, "pyramid")
    torch.manual_seed(0)
    student, example = build(architecture, len(CLASSES)), torch.randn(2, 3, side, side)
    shapes = tuple(layer.shape for layer in discover(student, example, [last]))
    answer = BoxAnswer(head_of(student))
    teacher = copy.deepcopy(student)
    made = Setup(
        student, teacher, len(CLASSES), (last,), (last,), shapes, shapes, example, example, answer=answer
    )  # fmt: skip
    recipe, (inputs, labels) = recipes.get("feature_only")(made), batch(2, side)
    reached = []
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        recipe.feature_weight, recipe.head_weight = weights
        student.zero_grad()
        recipe(inputs, labels, recipe.targets(inputs))["loss"].backward()
        gradients = {name: p.grad for name, p in student.named_parameters() if p.grad is not None}
        reached.append({name for name, gradient in gradients.items() if gradient.any()})
    features, answers = reached
    assert features
    assert answers
    assert not features & answers
    assert any(name.startswith("backbone") for name in features)


def test_blocks_of_two_stages_are_refused(dataset: DatasetInput, tmp_path: Path) -> None:
    """Their stones answer for proposals of their own."""
    layers = {"teacher_layers": ["pyramid"], "student_layers": ["pyramid"]}
    config = DistillConfig(recipe="blockwise_logit", **SETTINGS, **layers)
    given = RunSpec(config=config, student=RCNN, dataset=dataset, teacher=teacher_of(RCNN, tmp_path, seed=1))
    with pytest.raises(InvalidConfig, match="averages"):
        _ = tasks.get("detect_objects")(given, tmp_path / "run").student


def test_logits_of_its_own_kind_teach(dataset: DatasetInput, tmp_path: Path) -> None:
    """Of two stages: the teacher judges the student's proposals."""
    config = DistillConfig(recipe="logit", **SETTINGS)
    given = RunSpec(config=config, student=RCNN, dataset=dataset, teacher=teacher_of(RCNN, tmp_path, seed=1))
    events = go(given, tmp_path / "run")
    assert events[-1].kind == "done"
    assert any("logit" in event.data.get("values", {}) for event in events if event.kind == "metrics")
    _reads_back(tmp_path / "run", RCNN)


def test_a_student_sees_what_its_teacher_sees(dataset: DatasetInput, tmp_path: Path) -> None:
    """Where nothing says otherwise: not the size of the images, which are 64 x 64."""
    told = TeacherPreprocessing.model_validate({"input_size": 96})
    teacher = teacher_of(STUDENT, tmp_path).model_copy(update={"preprocessing": told})
    for given, expected in ((dict[str, Any](), (96, 96)), ({"image_size": 80}, (80, 80))):
        config = DistillConfig(recipe="logit" if not given else "feature_only", device="cpu", **given)
        task = tasks.get("detect_objects")(
            RunSpec(config=config, student=STUDENT, dataset=dataset, teacher=teacher), tmp_path / "run"
        )  # fmt: skip
        assert task.student.preprocessing.size == expected
        assert "teacher" in task.reasons["image_size"] or given


def test_a_batch_is_the_tasks_where_nothing_is_said(dataset: DatasetInput, tmp_path: Path) -> None:
    from distill.running.session import open_task

    for given, whose in (({}, "Object detection"), ({"batch_size": 5}, "given")):
        config = DistillConfig(recipe="cross_entropy", device="cpu", **given)
        task = open_task(RunSpec(config=config, student=STUDENT, dataset=dataset), tmp_path / "run")
        assert task.config.batch_size == given.get("batch_size", 8)
        assert whose in task.reasons["batch_size"]
