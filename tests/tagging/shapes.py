"""Tiny pictures with any of three shapes, and their labels, in every form that a dataset may have."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.types import DatasetInput

CLASSES = ("bar", "dot", "frame")
SIDE = 12


def picture(seed: int, has: Sequence[bool]) -> Image.Image:
    """Noise, and of the shapes those that the picture `has`: a bright column, a square, a bright edge."""
    pixels = np.random.default_rng(seed).integers(0, 90, (SIDE, SIDE, 3))
    if has[0]:
        pixels[:, 3:5] = (250, 40, 40)
    if has[1]:
        pixels[6:10, 7:11] = (40, 250, 40)
    if has[2]:
        pixels[0], pixels[-1] = (40, 40, 250), (40, 40, 250)
    return Image.fromarray(pixels.astype(np.uint8))


def png(seed: int, has: Sequence[bool]) -> bytes:
    out = io.BytesIO()
    picture(seed, has).save(out, "PNG")
    return out.getvalue()


def hot(count: int, seed: int = 0) -> list[list[bool]]:
    """(n, 3): every class in about half of the pictures, some pictures with none."""
    found: list[list[bool]] = (np.random.default_rng(seed).random((count, len(CLASSES))) < 0.45).tolist()
    return found


def named(has: Sequence[bool]) -> list[str]:
    return [name for name, one in zip(CLASSES, has, strict=True) if one]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def pictures(labels: Sequence[Sequence[bool]]) -> dict[str, bytes]:
    return {f"pictures/{i:03}.png": png(i, has) for i, has in enumerate(labels)}


def archive(folder: Path, count: int = 80) -> DatasetInput:
    """A zip with a table `a|b`, a quarter of it for testing."""
    labels = hot(count)
    rows = [
        {"file_name": name, "labels": "|".join(named(has)), "split": "test" if i % 4 == 0 else "train"}
        for i, (name, has) in enumerate(zip(pictures(labels), labels, strict=True))
    ]
    path = zipped(folder / "shapes.zip", pictures(labels) | {"labels.csv": as_csv(rows)})
    return DatasetInput(kind="archive", name="shapes", files={"all": str(path)})
