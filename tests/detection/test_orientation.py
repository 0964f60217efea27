"""Photographs that EXIF turns: boxes end in pixels of the stored image, whichever image they were drawn on."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from distill.tasks.detect_objects.opening import open_raw
from distill.tasks.detect_objects.orientation import orientation_of, to_stored, turned
from tests.detection.layouts import FORMATS, Files, Scene, archive, coco, scenes, yolo


def photograph(orientation: int, size: tuple[int, int], box: tuple[int, int, int, int], kind: str = "PNG") -> bytes:
    """Black, with a white box in pixels as they are stored."""
    pixels = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    exif, out = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(out, kind, exif=exif)
    return out.getvalue()


def white(image: Image.Image) -> tuple[int, int, int, int]:
    found = image.convert("L").point(lambda value: 255 * (value > 128)).getbbox()
    assert found is not None
    return found


SIZE, BOX = (40, 60), (6, 10, 17, 14)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_of_the_turned_image_is_the_stored_ones(orientation: int) -> None:
    data = photograph(orientation, SIZE, BOX)
    assert orientation_of(data) == orientation
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    drawn = white(shown)
    found = turned(orientation, SIZE, (shown.height, shown.width))
    assert found is (True if orientation > 4 else False if orientation == 1 else None)
    corners = np.array([drawn if found else BOX], np.float32)
    moved = to_stored(corners, np.array([SIZE]), np.array([orientation if found else 1]))
    assert moved.tolist() == [list(BOX)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_is_read_of_every_format(kind: str) -> None:
    assert orientation_of(photograph(6, SIZE, BOX, kind)) == 6
    assert orientation_of(photograph(1, SIZE, BOX, kind)) == 1
    assert orientation_of(b"Exif" + bytes(100)) == 1


@pytest.mark.parametrize(
    ("orientation", "stored", "stated", "expected"),
    [
        (6, (40, 60), (60, 40), True),
        (6, (40, 60), (40, 60), False),
        (6, (40, 60), (80, 120), False),
        (6, (40, 60), (0, 0), None),
        (6, (40, 40), (40, 40), None),
        (3, (40, 60), (40, 60), None),
        (1, (40, 60), (60, 40), False),
    ],
)
def test_the_stated_size_tells(
    orientation: int, stored: tuple[int, int], stated: tuple[int, int], expected: bool | None
) -> None:
    assert turned(orientation, stored, stated) is expected


def aside(files: Files, found: list[Scene]) -> Files:
    """The same archive, its images stored on their side: EXIF turns them back."""
    stems = {scene.stem: scene for scene in found}
    return {
        name: _aside(data, stems[Path(name).stem]) if name.endswith(".png") else data for name, data in files.items()
    }


def _aside(data: bytes, scene: Scene) -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=exif)
    assert ImageOps.exif_transpose(Image.open(out)).size == scene.size[::-1]
    return out.getvalue()


def test_boxes_of_a_turned_dataset_are_those_of_the_stored_images(tmp_path: Path) -> None:
    made = scenes()
    plain, turned_ones = (open_raw(archive(tmp_path, files)) for files in (coco(made), aside(coco(made), made)))
    assert any("turned to the pixels" in note for note in turned_ones.notes)
    for split in ("train", "test"):
        for i in range(len(plain.splits[split])):
            upright, stored = (raw.splits[split].boxes(i) for raw in (plain, turned_ones))
            height = plain.splits[split].sizes[i][0]
            width = plain.splits[split].sizes[i][1]
            assert turned_ones.splits[split].sizes[i].tolist() == [width, height]
            x1, y1, x2, y2 = upright.corners.T
            assert stored.corners.tolist() == np.stack([y1, width - x2, y2, width - x1], 1).tolist()


def test_boxes_of_which_nothing_tells_are_read_as_of_the_stored_images(tmp_path: Path) -> None:
    made = [replace(scene, size=(64, 64)) for scene in scenes(size=(48, 48))]
    plain, doubtful = (open_raw(archive(tmp_path, files)) for files in (yolo(made), aside(yolo(made), made)))
    named = [note for note in doubtful.notes if "nothing tells" in note]
    assert len(named) == 1
    assert named[0].startswith("15 of 18 ")  # those with boxes
    assert doubtful.train.objects.boxes.corners.tolist() == plain.train.objects.boxes.corners.tolist()
    assert not any("EXIF" in note for note in plain.notes)


def test_upright_images_are_as_ever(tmp_path: Path) -> None:
    for name, write in FORMATS.items():
        assert not any("EXIF" in note for note in open_raw(write(scenes(), tmp_path)).notes), name
