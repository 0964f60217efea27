"""A tiny made-up dataset: coloured rectangles and discs on a noisy background, with their masks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.tasks.segment_images.legend import voc_colour
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec
from tests.data.files import write_zip

SIDE = 32
CLASSES = ("background", "square", "disc")
COLOURS = ((40, 40, 40), (220, 40, 40), (40, 200, 60))
Pixels = NDArray[np.uint8]


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE), void: bool = True) -> tuple[Pixels, Pixels]:
    """RGB (h, w, 3) and mask (h, w) with a border of 255 around the shapes."""
    height, width = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros(size, np.uint8)
    side = int(random.integers(height // 4, height // 2))
    top, left = random.integers(0, height - side), random.integers(0, width - side)
    mask[top : top + side, left : left + side] = 1
    radius = random.integers(height // 6, height // 4)
    centre = random.integers(radius, height - radius), random.integers(radius, width - radius)
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    mask[disc] = 2
    rgb = np.array(COLOURS, np.uint8)[mask].astype(np.int16) + random.integers(-30, 30, (*size, 3))
    if void:
        mask[0, :] = 255
    return rgb.clip(0, 255).astype(np.uint8), mask


def png(pixels: Pixels, palette: bool = False, form: str = "PNG") -> bytes:
    image = Image.fromarray(pixels)
    if palette:
        image = Image.fromarray(pixels, "P")
        image.putpalette([channel for number in range(256) for channel in voc_colour(number)])
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def files(count: int = 6, split: str = "", first: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> dict[str, bytes]:
    """images/ and masks/ below `split`."""
    prefix = f"{split}/" if split else ""
    found: dict[str, bytes] = {}
    for i in range(first, first + count):
        rgb, mask = picture(i, size)
        found[f"{prefix}images/{i:03d}.png"] = png(rgb)
        found[f"{prefix}masks/{i:03d}.png"] = png(mask)
    return found


def archive(folder: Path, content: Mapping[str, bytes] | None = None, name: str = "shapes.zip") -> DatasetInput:
    """A zip of `content`, unless given 24 training and 8 test images with named classes."""
    if content is None:
        content = files(24, "train") | files(8, "test", 100) | {"classes.txt": "\n".join(CLASSES).encode()}
    path = write_zip(folder / name, content)
    return DatasetInput(kind="archive", name="shapes", files={"all": str(path)})


FPN = Architecture(name="retort:fpn", options={"backbone": "test_resnet", "width": 16})


def run_spec(dataset: DatasetInput, recipe: str = "cross_entropy", **config: object) -> RunSpec:
    settings = {
        "recipe": recipe, "epochs": 2, "batch_size": 4, "layers": 1, "device": "cpu", "learning_rate": 3e-3,
        "compile": False, "precision": "fp32", "quality_samples": 60, "checkpoint_seconds": 1e6,
    }  # fmt: skip
    return RunSpec(config=DistillConfig(**settings | config), student=FPN, dataset=dataset)  # type: ignore[arg-type]
