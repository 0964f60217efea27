"""Files tell that they are of boxes, and what beside them is another task's stays so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import InvalidDataset
from distill.tasks.detect_objects.opening import open_raw
from distill.tasks.detect_objects.report import inspect
from distill.tasks.inspection import Room, task_of
from distill.tasks.inspection import inspect as inspect_any
from distill.types import DatasetInput
from tests.data.files import tree, write_zip
from tests.detection.layouts import FORMATS, Files, archive, coco, scenes, voc, xml, yolo
from tests.segmentation.shapes import png


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_are_known_by_their_files(name: str, tmp_path: Path) -> None:
    dataset = FORMATS[name](scenes(), tmp_path)
    assert task_of(dataset) == "detect_objects"
    assert task_of(dataset.model_copy(update={"task": "detect_objects"})) == "detect_objects"


def masks(files: Files, folder: str, images: str) -> Files:
    """A mask for every image."""
    made = {}
    for path in files:
        if path.startswith(images) and path.endswith(".png"):
            values = np.random.default_rng(0).integers(0, 2, (48, 64))
            made[path.replace(images, folder, 1)] = png(values.astype(np.uint8))
    return made


def voc_with_masks() -> Files:
    files = voc(scenes())
    found = masks(files, "VOCdevkit/VOC2012/SegmentationClass", "VOCdevkit/VOC2012/JPEGImages")
    lists = {path.replace("Main", "Segmentation"): data for path, data in files.items() if "/Main/" in path}
    return files | found | lists


def coco_with_masks() -> Files:
    files = {
        path.replace("train2017/", "images/train2017/").replace("val2017/", "images/val2017/"): data
        for path, data in coco(scenes()).items()
    }
    return files | masks(files, "masks/", "images/")


@pytest.mark.parametrize("make", [voc_with_masks, coco_with_masks])
def test_masks_count_before_boxes_unless_boxes_are_named(make: Callable[[], Files], tmp_path: Path) -> None:
    assert task_of(archive(tmp_path, make())) == "segment_images"
    named = archive(tmp_path, make(), task="detect_objects")
    assert task_of(named) == "detect_objects"
    raw = open_raw(named)
    assert (len(raw.train), len(raw.test)) == (12, 6)


def test_class_folders_stay_classes(tmp_path: Path) -> None:
    """Also with texts and tables beside the images; with boxes beside them they may be named."""
    files = tree(per_class=6)
    other = {"readme.txt": b"cats", "class0/0.txt": b"a caption", "notes.csv": b"a,b\n1,2\n", "a.json": b'{"a": 3}'}
    dataset = DatasetInput(kind="archive", name="a", files={"all": str(write_zip(tmp_path / "a.zip", files | other))})
    assert task_of(dataset) == "classify_images"
    both = {path.replace(".png", ".xml"): xml(scenes()[0]) for path in files}
    path = write_zip(tmp_path / "b.zip", files | both)
    for task in ("classify_images", "detect_objects"):
        assert task_of(DatasetInput(kind="archive", name="b", files={"all": str(path)}, task=task)) == task


def test_masks_alone_are_no_boxes(tmp_path: Path) -> None:
    files = masks(voc(scenes()), "masks", "VOCdevkit/VOC2012/JPEGImages")
    images = {path.replace("masks", "images"): data for path, data in files.items()}
    with pytest.raises(InvalidDataset):
        task_of(archive(tmp_path, files | images, task="detect_objects"))


def test_formats_beside_each_other_are_named(tmp_path: Path) -> None:
    made = scenes()
    files = yolo(made) | {f"{s.split}/images/{s.stem}.xml": xml(s) for s in made}
    raw = open_raw(archive(tmp_path, files))
    assert any("YOLO" in note for note in raw.notes)


# -- the report -------------------------------------------------------------------------------------------------------


def test_a_report_counts_boxes(tmp_path: Path) -> None:
    made = scenes()
    sheet = tmp_path / "sheet.png"
    found = inspect(archive(tmp_path, coco(made)), sheet=sheet)
    rows = [box for scene in made if scene.split == "train" for box in scene.boxes]
    assert found.counts == {"train": [12], "test": [6]}
    assert found.boxes["train"] == [sum(name == each for *_, name in rows) for each in found.classes]
    small = sum((x2 - x1) * (y2 - y1) < 1024 for x1, y1, x2, y2, _ in rows)
    assert found.areas["train"] == {"small": small, "medium": len(rows) - small, "large": 0}
    assert found.background == {"train": 2, "test": 1}
    assert found.most == {"train": 3, "test": 3}
    assert found.thumbnails is not None
    with Image.open(sheet) as image:
        assert image.size == (found.thumbnails.columns * found.thumbnails.tile, 3 * found.thumbnails.tile)
    first = sheet.read_bytes()
    inspect(archive(tmp_path, coco(made)), sheet=sheet)
    assert sheet.read_bytes() == first


def test_a_report_is_json_with_its_task(tmp_path: Path) -> None:
    report = inspect_any(archive(tmp_path, voc(scenes())), Room(tmp_path, tmp_path / "sheet.webp"))
    assert report["task"] == "detect_objects"
    assert set(report["faults"]) == {"not_finite", "other_unit", "inverted", "outside", "empty", "clipped", "doubled"}
