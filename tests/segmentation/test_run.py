"""Whole jobs on coloured shapes: the Q curve of regions, resume, packaging, the downloaded student."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from distill import models
from distill.control import Control
from distill.errors import InvalidConfig
from distill.run import run
from distill.safetensors_header import read_header
from distill.student import load_student
from distill.tasks.segment_images.examples import GAP, SIDE, TITLE
from distill.tasks.segment_images.samples import open_dataset
from distill.types import Architecture, DatasetInput, Event, RunSpec, TeacherInput
from tests.segmentation.shapes import CLASSES, FPN, archive, files, picture, run_spec

SIZE = (96, 64)
NAMES = {"classes.txt": "\n".join(CLASSES).encode()}


def go(spec: RunSpec, folder: Path, stop_at: tuple[str, int] | None = None) -> list[Event]:
    control, events = Control(), list[Event]()
    for event in run(spec, folder, control):
        events.append(event)
        control.handover = stop_at is not None and sum(e.kind == stop_at[0] for e in events) >= stop_at[1]
    return events


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    content = files(16, "train", size=SIZE) | files(4, "test", 100, SIZE) | NAMES
    return archive(tmp_path_factory.mktemp("data"), content)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    path = tmp_path_factory.mktemp("teacher") / "w.safetensors"
    torch.manual_seed(1)
    models.save(models.build(FPN, 3), path)
    return TeacherInput(architecture=FPN, weights=str(path), num_classes=3, digest="random")


def spec_of(dataset: DatasetInput, teacher: TeacherInput | None, recipe: str, **config: Any) -> RunSpec:
    spec = run_spec(dataset, recipe, **{"epochs": 2, "augmentation": "crop_flip"} | config)
    return spec.model_copy(update={"teacher": teacher})


@pytest.fixture(scope="module")
def distilled(
    dataset: DatasetInput, teacher: TeacherInput, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("run")
    config = {"ema_decay": 0.9, "gradient_accumulation": 2}
    return folder / "artifacts", go(spec_of(dataset, teacher, "feature_only", **config), folder)


def report_of(artifacts: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((artifacts / "report.json").read_text())
    return report


def test_the_curve_is_of_regions(distilled: tuple[Path, list[Event]]) -> None:
    artifacts, events = distilled
    frame = next(event.data for event in events if event.kind == "layers")
    layers = [event.data for event in events if event.kind == "layer_quality"]
    assert frame["classes"] >= 2
    assert len(layers) == frame["total_layers"]
    assert all(len(layer["shape"]) == 1 for layer in layers)
    data = report_of(artifacts)["dataset"]
    assert data["regions"] == frame["samples"]
    assert data["regions_left_out"] >= 0
    chosen = next(event.data for event in events if event.kind == "selection")
    assert chosen["student_layers"] == ["decoder"]


def test_every_row_of_the_curve_names_its_image_and_its_class(
    distilled: tuple[Path, list[Event]], dataset: DatasetInput
) -> None:
    artifacts, events = distilled
    rows, found = json.loads((artifacts / "q-curve-draw.json").read_text())["rows"], open_dataset(dataset)
    train = found.train
    assert len(rows) == next(event.data["samples"] for event in events if event.kind == "layers")
    for row in rows:
        assert row["sample"] == train.name(row["position"])
        assert found.classes.index(row["group"]) in train.pair(row["position"])[1]
    assert len(rows) == len({(row["position"], row["group"]) for row in rows})


def test_the_report(distilled: tuple[Path, list[Event]]) -> None:
    artifacts, _ = distilled
    report = report_of(artifacts)
    assert report["task"] == "segment_images"
    for name in ("student", "teacher"):
        column = report[name]
        assert np.array(column["confusion"]).shape == (3, 3)
        ious = [each["value"] for each in column["per_class"].values() if each["value"] is not None]
        assert column["mean_iou"]["value"] == pytest.approx(np.mean(ious))
    assert report["student"]["agreement"]["n"] == 4
    assert report["training"]["validation"] is not None
    assert "fit_head" not in report["configuration"]  # no setting of this task
    assert report["reasons"]["fit_head"].endswith("one class a sample")
    text = (artifacts / "report.md").read_text()
    for words in ("mean IoU", "pixel accuracy", "IoU by class", "Confusion"):
        assert words in text
    assert "Wilson" not in text
    assert "mean IoU" in (artifacts / "README.md").read_text()


def test_test_images_are_shown_side_by_side(distilled: tuple[Path, list[Event]]) -> None:
    sheet = Image.open(distilled[0] / "examples.webp")
    # image, truth, teacher, student of 4 images between the line of titles and that of classes
    assert sheet.size == (4 * (160 + GAP), TITLE + 4 * (SIDE + GAP) + TITLE)
    assert any(event.kind == "artifact" and event.data["name"] == "examples.webp" for event in distilled[1])


def test_the_student_answers_as_the_report_says(distilled: tuple[Path, list[Event]], tmp_path: Path) -> None:
    artifacts, _ = distilled
    student = load_student(artifacts / "student.safetensors")
    assert student.classes == CLASSES
    assert json.loads(read_header(artifacts / "student.safetensors").metadata["task"]) == "segment_images"
    hits, union = np.zeros(3), np.zeros(3)
    for i in range(100, 104):
        rgb, mask = picture(i, SIZE)
        said = student.predict(Image.fromarray(rgb)).classes
        for c in range(3):
            ours, truth = (said == c) & (mask != 255), mask == c
            hits[c] += (ours & truth).sum()
            union[c] += (ours | truth).sum()
    ious = hits[union > 0] / union[union > 0]
    assert report_of(artifacts)["student"]["mean_iou"]["value"] == pytest.approx(ious.mean(), abs=1e-6)


def test_a_predicted_mask_has_the_pictures_size_and_the_palette(
    distilled: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    student = load_student(distilled[0] / "student.safetensors")
    Image.fromarray(picture(7, (50, 70))[0]).save(tmp_path / "in.png")
    mask = student.predict(tmp_path / "in.png")
    several = student.predict([tmp_path / "in.png"] * 2)
    assert [np.array_equal(each.classes, mask.classes) for each in several] == [True, True]
    assert mask.classes.shape == (50, 70)
    mask.save(tmp_path / "out.png")
    saved = Image.open(tmp_path / "out.png")
    assert saved.mode == "P"
    assert np.array_equal(np.asarray(saved), mask.classes)
    flat = saved.getpalette() or []
    assert tuple(map(tuple, np.array(flat[:9]).reshape(3, 3).tolist())) == student.palette
    assert sum(mask.shares().values()) == pytest.approx(1)


def test_resume_gives_the_same_bits(dataset: DatasetInput, teacher: TeacherInput, tmp_path: Path) -> None:
    def student(folder: Path) -> str:
        return hashlib.sha256((folder / "artifacts" / "student.safetensors").read_bytes()).hexdigest()

    spec = spec_of(dataset, teacher, "logit", recipe_parameters={"logit_loss": "channel_wise"})
    go(spec, tmp_path / "whole")
    events = go(spec, tmp_path / "first", ("metrics", 2))
    assert events[-1].kind != "done"
    newest = [event.data["path"] for event in events if event.kind == "checkpoint"][-1]
    go(spec.model_copy(update={"resume_from": newest}), tmp_path / "second")
    assert student(tmp_path / "second") == student(tmp_path / "whole")


@pytest.mark.parametrize("recipe", ["feature_logit", "similarity_preserving", "blockwise_logit"])
def test_recipes_that_compare_features(
    recipe: str, dataset: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    loss = {"feature_loss": "channel_wise"} if recipe == "feature_logit" else {}
    named = {"teacher_layers": ["decoder"], "student_layers": ["decoder"], "max_steps": 2}
    events = go(spec_of(dataset, teacher, recipe, recipe_parameters=loss, **named), tmp_path)
    assert events[-1].kind == "done"


def test_images_of_many_sizes_are_evaluated_at_their_own(tmp_path: Path) -> None:
    content = dict(NAMES)
    for split, count in (("train", 6), ("test", 3)):
        for i in range(count):
            content |= files(1, split, 10 * i, (30 + 6 * i, 50))
    spec = run_spec(archive(tmp_path, content), epochs=1, image_size=32, augmentation="crop_flip")
    events = go(spec, tmp_path / "out")
    assert events[-1].kind == "done"
    report = report_of(tmp_path / "out" / "artifacts")
    pixels = sum(each["n"] for each in report["student"]["per_class"].values())
    assert pixels == sum((29 + 6 * i) * 50 for i in range(3))


def test_a_student_whose_every_layer_is_bypassed_is_refused_before_scoring(
    dataset: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    """LR-ASPP joins an early level behind every layer: no choice of layers keeps the labels from its backbone."""
    student = Architecture(name="torchvision:lraspp_mobilenet_v3_large")
    spec = spec_of(dataset, teacher, "feature_only").model_copy(update={"student": student})
    with pytest.raises(InvalidConfig) as caught:
        go(spec, tmp_path / "out")
    assert caught.value.details["layer"]
    assert not (tmp_path / "out" / "work" / "q-curve.json").exists()
