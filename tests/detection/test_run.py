"""A detector from its dataset to its files, beyond what every task is tried with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from distill import tasks
from distill.errors import InvalidConfig
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.peak import PEAKS
from distill.tasks.detect_objects.precision import evaluated
from distill.types import Architecture
from tests.detection.layouts import archive, coco, scenes
from tests.detection.made_up import CLASSES, picture
from tests.tasks.house import House, go
from tests.tasks.tiny.detect_objects import make


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    torch.set_num_threads(1)
    return make(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="module")
def artifacts(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    spec = house.spec(recipe="feature_only", quality_background=True, quality_roi_size=2, quality_samples=40)
    assert go(spec, folder)[-1].kind == "done"
    return folder / "artifacts"


def test_the_predictions_have_the_reports_precision(artifacts: Path) -> None:
    """COCO's file of the test images, evaluated anew against what was made up."""
    told = json.loads((artifacts / "predictions.json").read_text())
    report = json.loads((artifacts / "report.json").read_text())
    assert tuple(each["name"] for each in told["categories"]) == CLASSES  # in the order of the dataset's ids
    truth, said = [], []
    for image in told["images"]:
        truth.append(picture(int(Path(image["file_name"]).stem))[1])
        rows = [each for each in told["annotations"] if each["image_id"] == image["id"]]
        corners = torch.tensor([each["bbox"] for each in rows]).reshape(-1, 4)
        corners = torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1)
        scores = torch.tensor([each["score"] for each in rows])
        said.append(Detections(corners, scores, torch.tensor([each["category_id"] - 1 for each in rows]).long()))
    found = evaluated(truth, said, len(CLASSES))
    assert found.ap == pytest.approx(report["student"]["ap"]["value"], abs=1e-6)
    assert report["teacher"]["ap50"]["value"] > 0.05  # it has learnt something
    assert set(report["student"]["per_class"]) == set(CLASSES)


def test_pycocotools_reads_the_predictions(artifacts: Path) -> None:
    """As a file of its own, and their boxes as results of another file of these images."""
    from pycocotools.coco import COCO

    told = json.loads((artifacts / "predictions.json").read_text())
    read = COCO(str(artifacts / "predictions.json"))
    assert told["annotations"]
    assert len(read.getAnnIds()) == len(told["annotations"])
    areas = [[each["area"] for each in file.anns.values()] for file in (read, read.loadRes(told["annotations"]))]
    assert areas[0] == pytest.approx(areas[1])


def test_curves_and_the_worst_images_are_of_both_networks(artifacts: Path) -> None:
    report, curves, worst = (
        json.loads((artifacts / name).read_text()) for name in ("report.json", "precision-recall.json", "worst.json")
    )
    assert list(curves["networks"]) == ["teacher", "student"]
    for name, network in curves["networks"].items():
        values = network["mean"]["0.50:0.95"]
        assert sum(values) / len(values) == pytest.approx(report[name]["ap"]["value"], abs=1e-4)
    assert worst["tested"] == len(worst["images"]) == 12
    shares = [image["f1"] for image in worst["images"]]
    assert shares == sorted(shares)
    for image in worst["images"]:
        boxes = picture(int(Path(image["name"]).stem))[1]
        assert [row[:4] for row in image["boxes"]["truth"]] == boxes.corners.tolist()
        assert set(image["boxes"]) == {"truth", "teacher", "student"}
    assert Image.open(artifacts / "worst.webp").size == (4 * 320, 3 * 320)


def test_the_curve_tells_objects_from_background(artifacts: Path) -> None:
    curve, report = (json.loads((artifacts / name).read_text()) for name in ("q-curve.json", "report.json"))
    assert curve["classes"] == len(CLASSES) + 1
    assert curve["samples"] == report["dataset"]["boxes"]
    shapes = {layer["name"]: layer["shape"] for layer in curve["layers"]}
    assert shapes["pyramid"] == [16 * 2 * 2]
    data = report["dataset"]
    assert data["boxes_left_out"] == 0
    below = data["boxes_below_a_cell"]
    assert below["backbone.stages_3.0"] == curve["samples"]  # none of the boxes is as large as its cell
    assert data["layers_on_all_boxes"] == ["backbone.stages_3.0"]
    for layer in curve["layers"]:
        left_out = 0 if layer["name"] in data["layers_on_all_boxes"] else below[layer["name"]]
        assert (layer["samples"] or curve["samples"]) == curve["samples"] - left_out


def test_a_layer_counts_the_objects_that_cover_a_cell_of_it(house: House, tmp_path: Path) -> None:
    given = archive(tmp_path, coco(scenes(train=40)))
    spec = house.spec(recipe="cross_entropy", image_size=64, quality_samples=60)
    task = tasks.get("detect_objects")(spec.model_copy(update={"dataset": given, "teacher": None}), tmp_path)
    found, about = task.groups(task.student), task.about_data()
    assert not isinstance(found, str)
    assert 0 < int(found.counted["pyramid"].sum()) < len(found.labels)
    for name, flags in found.counted.items():
        assert int((~flags).sum()) == about["boxes_below_a_cell"][name]
    assert about["layers_on_all_boxes"] == ["backbone.stages_3.0"]


def test_a_curve_of_other_rows_is_another_curve(house: House, artifacts: Path, tmp_path: Path) -> None:
    """A finished curve is not taken for one of another grid of cells."""
    given = json.loads((artifacts / "q-curve.json").read_text())
    spec = house.spec(recipe="feature_only", quality_background=True, quality_samples=40, max_steps=1)
    events = go(spec.model_copy(update={"reuse_curve": given}), tmp_path)
    told = next(event.data for event in events if event.kind == "layers")
    assert (told["reused"], told["digest"] == given["digest"]) == (False, False)


def test_a_student_of_other_points_is_refused_before_any_work(house: House, tmp_path: Path) -> None:
    finer = Architecture(name="retort:fcos", options={"backbone": "test_byobnet", "width": 8, "depth": 1, "finest": 4})
    spec = house.spec(recipe="logit").model_copy(update={"student": finer})
    with pytest.raises(InvalidConfig, match="same places"):
        _ = tasks.get("detect_objects")(spec, tmp_path).student
    alone = house.spec(recipe="feature_only").model_copy(update={"student": finer})
    assert tasks.get("detect_objects")(alone, tmp_path).student.architecture == finer


def test_a_selection_that_is_ours_ends_where_the_heads_begin(house: House, tmp_path: Path) -> None:
    named = {"teacher_layers": None, "student_layers": None, "layers": 2}
    events = go(house.spec(recipe="feature_only", max_steps=1, **named), tmp_path)
    told = next(event.data for event in events if event.kind == "selection")
    assert (told["teacher_layers"][-1], told["student_layers"][-1]) == ("pyramid", "pyramid")
    assert events[-1].kind == "done"


def test_a_run_tells_of_few_steps_and_not_of_objects_that_hold_points(house: House, tmp_path: Path) -> None:
    events = go(house.spec(recipe="cross_entropy", max_steps=1, learning_rate="auto"), tmp_path)
    told = next(event.data for event in events if event.kind == "resolved")
    assert (told["config"]["learning_rate"], "retort:fcos" in told["reasons"]["learning_rate"]) == (
        PEAKS["retort:fcos"],
        True,
    )
    assert [event.data["code"] for event in events if event.kind == "warning"] == ["few_steps"]


def test_a_run_whose_objects_hold_no_point_is_refused(house: House, tmp_path: Path) -> None:
    pixels = [
        replace(one, boxes=tuple((x, y, x + 1, y + 1, name) for x, y, _, _, name in one.boxes)) for one in scenes()
    ]
    spec = house.spec(recipe="cross_entropy", max_steps=1, image_size=64)
    with pytest.raises(InvalidConfig) as caught:
        go(spec.model_copy(update={"dataset": archive(tmp_path, coco(pixels)), "teacher": None}), tmp_path / "run")
    assert caught.value.details["left_out"] == caught.value.details["objects"] > 0
