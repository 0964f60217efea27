"""Pictures with coloured rectangles, made up in memory, and what a detector might say of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.rows import padded, rows_of
from distill.types import Architecture, DatasetInput
from tests.data.files import write_zip

CLASSES = ("red", "green", "blue")


def boxes_of(corners: NDArray[np.float64], classes: NDArray[np.int64], ignored: NDArray[np.bool_] | None = None,
             crowd: NDArray[np.bool_] | None = None) -> Boxes:  # fmt: skip
    rounded: NDArray[np.float32] = corners.reshape(-1, 4).astype(np.float32)
    none = np.zeros(len(rounded), np.bool_)
    sides = rounded[:, 2:] - rounded[:, :2]
    return Boxes(
        rounded, classes.astype(np.int64), none if ignored is None else ignored, none if crowd is None else crowd,
        (sides[:, 0] * sides[:, 1]).astype(np.float32),
    )  # fmt: skip


def picture(seed: int, side: int = 64, most: int = 3) -> tuple[NDArray[np.uint8], Boxes]:
    """RGB (h, w, 3) with 1 to `most` rectangles of a quarter to a half of the side, in their class's colour."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (side, side, 3))
    count = int(random.integers(1, most + 1))
    sides = random.integers(side // 4, side // 2, (count, 2))
    lows = np.stack([random.integers(0, side - sides[:, 0]), random.integers(0, side - sides[:, 1])], 1)
    classes = random.integers(0, len(CLASSES), count)
    for (w, h), (x, y), number in zip(sides, lows, classes, strict=True):
        pixels[y : y + h, x : x + w, number] = 230
    return pixels.astype(np.uint8), boxes_of(np.concatenate([lows, lows + sides], 1), classes)


def batch(count: int, side: int = 64, first: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs (n, 3, side, side) and labels (n, m, 6)."""
    made = [picture(first + i, side) for i in range(count)]
    pixels = np.stack([pixels for pixels, _ in made]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels).float() / 127.5 - 1, padded([rows_of(boxes) for _, boxes in made])


def scene(seed: int, size: tuple[int, int] = (200, 300), classes: int = 4) -> tuple[Boxes, Detections]:
    """Objects of all sizes, some of them ignored or crowds, and detections near them, or nowhere near."""
    random = np.random.default_rng(seed)
    count = int(random.integers(0, 9))
    sides = np.exp(random.uniform(np.log(6), np.log(150), (count, 2)))
    lows = random.uniform(0, 1, (count, 2)) * (np.array([size[1], size[0]]) - sides).clip(0)
    corners = np.concatenate([lows, np.minimum(lows + sides, [size[1], size[0]])], 1)
    numbers = random.integers(0, classes, count)
    ignored = random.uniform(size=count) < 0.2
    crowd = ignored & (random.uniform(size=count) < 0.5)
    near = np.repeat(corners, 3, 0) + random.normal(0, 4, (3 * count, 4)) * random.uniform(0, 1.5, (3 * count, 1))
    far = random.uniform(0, 150, (3, 4))
    found = np.concatenate([near, far])
    found = np.concatenate([np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:]) + 1], 1)
    said = np.concatenate([np.repeat(numbers, 3), random.integers(0, classes, 3)])
    scores = random.uniform(0.05, 1, len(found)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    truth = boxes_of(corners, numbers, ignored, crowd)
    said_of = Detections(*(torch.from_numpy(np.ascontiguousarray(each[order])) for each in (found, scores, said)))
    return truth, said_of


DETECTOR = Architecture(name="retort:fcos", options={"backbone": "test_byobnet", "width": 16, "depth": 1})


def coco_zip(folder: Path, train: int = 40, test: int = 12) -> DatasetInput:
    """A zip of COCO's layout: `train` and `val`, category ids with gaps."""
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(train)), ("val", range(1000, 1000 + test))):
        images, annotations = [], list[dict[str, object]]()
        for number in numbers:
            pixels, boxes = picture(number)
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            files[f"{split}2017/{number:06}.png"] = out.getvalue()
            images.append({"id": number, "file_name": f"{number:06}.png", "height": 64, "width": 64})
            for (x1, y1, x2, y2), label in zip(boxes.corners.tolist(), boxes.classes.tolist(), strict=True):
                annotations.append({
                    "id": len(annotations) + 1, "image_id": number, "category_id": 5 * label + 3,
                    "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0,
                })  # fmt: skip
        categories = [{"id": 5 * label + 3, "name": name} for label, name in enumerate(CLASSES)]
        told = {"images": images, "annotations": annotations, "categories": categories}
        files[f"annotations/instances_{split}2017.json"] = json.dumps(told).encode()
    path = write_zip(folder / "boxes.zip", files)
    return DatasetInput(kind="archive", name="boxes", files={"all": str(path)})
