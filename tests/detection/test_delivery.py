"""What is handed over: a graph for other runtimes, boxes in pixels of a picture, COCO's files, and drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models import build, preprocessing, save
from distill.student import load_student
from distill.tasks._images.delivery import header
from distill.tasks.detect_objects.delivery import BoxContext, BoxDelivery
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.examples import Example, draw
from distill.tasks.detect_objects.flat import Flat
from distill.tasks.detect_objects.seeing import placed
from distill.tasks.detect_objects.student import PredictedBoxes
from tests.detection.made_up import CLASSES, DETECTOR, picture

DELIVERY = BoxDelivery("detect_objects", "ap")


def context() -> BoxContext:
    torch.manual_seed(0)
    how = preprocessing(DETECTOR, 64)
    report: dict[str, Any] = {"recipe": "cross_entropy", "student": {}}
    return BoxContext(build(DETECTOR, 3).eval(), DETECTOR, CLASSES, how, report, DELIVERY)


def test_the_graph_is_one_tensor_for_any_batch() -> None:
    """A trace that is free in the batch, as the ONNX file is made of, gives at another batch what the network does."""
    made = context()
    graph = DELIVERY.graph(made)
    traced = torch.export.export(graph.module.eval(), (graph.example,), dynamic_shapes=({0: torch.export.Dim("n")},))
    shown = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = traced.module()(shown), Flat(made.student)(shown)
    assert found.shape == (5, 8 * 8 + 4 * 4 + 2 * 2, 4 + 3)
    torch.testing.assert_close(found, expected)
    assert bool(((found[..., 4:] >= 0) & (found[..., 4:] <= 1)).all())


def test_a_written_detector_answers_in_pixels_of_the_picture(tmp_path: Path) -> None:
    """A wide picture fills the width of a square input alone; what is found of it lies within it."""
    made = context()
    path = tmp_path / "student.safetensors"
    save(made.student, path, DELIVERY.header(made))
    student = load_student(path)
    wide = Image.fromarray(picture(3)[0]).resize((200, 100))
    found = student.predict(wide)
    assert [len(each) for each in student.predict([wide, wide])] == [len(found)] * 2
    for box in found:
        x1, y1, x2, y2 = box.corners
        assert 0 <= x1 <= x2 <= 200
        assert 0 <= y1 <= y2 <= 100
        assert box.label in CLASSES
    rows = found.to_coco(7, category_ids=[3, 8, 13])
    assert {row["image_id"] for row in rows} <= {7}
    assert {row["category_id"] for row in rows} <= {3, 8, 13}
    one = Detections(torch.tensor([[16.0, 8, 48, 24]]), torch.tensor([0.9]), torch.tensor([1]))
    assert placed(one, (64, 64), (100, 200)).corners.tolist() == [[50, 25, 150, 75]]


def test_boxes_of_a_turned_photograph_are_in_its_stored_pixels(tmp_path: Path) -> None:
    """As training and evaluation read it, and as PIL opens it: what EXIF says of its turn changes nothing."""
    made = context()
    save(made.student, tmp_path / "student.safetensors", DELIVERY.header(made))
    student = load_student(tmp_path / "student.safetensors")
    wide, turned = Image.fromarray(picture(3)[0]).resize((96, 48)), Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    wide.save(tmp_path / "plain.png")
    wide.save(tmp_path / "turned.png", exif=turned)
    assert Image.open(tmp_path / "turned.png").getexif()[0x0112] == 6
    plain, other = student.predict([tmp_path / "plain.png", tmp_path / "turned.png"])
    assert len(plain) > 0
    assert list(plain) == list(other)


@pytest.mark.parametrize("ids", [[], [3, 8], [3, 8, 13, 21]])
def test_each_class_has_one_category(ids: list[int]) -> None:
    found = Detections(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), torch.tensor([0]))
    with pytest.raises(InvalidConfig):
        PredictedBoxes(found, ("a", "b", "c")).to_coco(7, ids)


def test_a_network_for_masks_is_no_detector(tmp_path: Path) -> None:
    from distill.types import Architecture

    architecture = Architecture(name="retort:fpn", options={"backbone": "test_byobnet", "width": 8})
    path = tmp_path / "student.safetensors"
    how = preprocessing(architecture, 64)
    save(build(architecture, 3), path, header(architecture, CLASSES, how, None, task="detect_objects"))
    with pytest.raises(InvalidTeacher):
        load_student(path)


def test_boxes_are_drawn_in_their_classes_colours(tmp_path: Path) -> None:
    pixels, boxes = picture(3)
    truth = Detections(torch.from_numpy(boxes.corners), torch.ones(len(boxes)), torch.from_numpy(boxes.classes))
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    path = tmp_path / "examples.webp"
    draw([Example(Image.fromarray(pixels), {"truth": truth, "student": nothing})], CLASSES, path)
    sheet = Image.open(path)
    assert sheet.width == 2 * 244
    assert list(tmp_path.iterdir()) == [path]
