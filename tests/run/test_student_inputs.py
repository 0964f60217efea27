"""`Student.inputs` gives what the evaluation loader gives, for every shape and kind of image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.preprocessing import Preprocessing
from distill.student import BATCH
from distill.tasks.classify_images.student import Student
from distill.types import Architecture
from tests.data.files import archive, image_bytes, write_zip

COLOUR = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), (32, 32), "bilinear", 3, 0.875)
GREY = Preprocessing((0.5,), (0.25,), (32, 32), "bicubic", 1, 0.9)
SIZES = {"wide": (100, 200), "tall": (210, 120), "small": (20, 24), "narrow": (24, 150), "exact": (32, 32)}


def encoded(size: tuple[int, int], mode: str, seed: int) -> bytes:
    if mode not in ("P", "LA"):
        return image_bytes(seed, size, mode)
    out = io.BytesIO()
    Image.open(io.BytesIO(image_bytes(seed, size, "RGB"))).convert(mode).save(out, "PNG")
    return out.getvalue()


def compare(tmp_path: Path, images: list[bytes], how: Preprocessing, whole: bool) -> None:
    """Every image of the dataset, as a file and opened, against the evaluation loader."""
    files = {f"c{i % 2}/{i:03}.png": data for i, data in enumerate(images)}
    found = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    native = None
    if found.train.cached(torch.device("cpu")) is not None:
        native = found.train.uniform_shape[1:]  # type: ignore[index]
    assert (native is not None) == whole
    student = Student(torch.nn.Identity(), Architecture(name="x"), ("a", "b"), how, native)
    paths = []
    for samples in (found.train, found.test):
        loader = Loader(samples, range(len(samples)), 1, how, shuffle=False, drop_last=False)
        for batch in loader.epoch(0):
            name = samples._store.split.images.name(int(samples.rows[int(batch.index)]))
            path = tmp_path / f"{len(paths)}.png"
            path.write_bytes(files[name])
            paths.append(path)
            assert torch.equal(student.inputs([path]), batch.student), name
            with Image.open(path) as opened:
                assert torch.equal(student.inputs([opened]), batch.student), name
    assert len(paths) == len(images)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P", "LA"])
@pytest.mark.parametrize("how", [COLOUR, GREY], ids=["colour", "grey"])
def test_images_of_any_size_look_as_in_the_report(tmp_path: Path, mode: str, how: Preprocessing) -> None:
    images = [encoded(size, mode, 10 * i + j) for i, size in enumerate(SIZES.values()) for j in range(2)]
    compare(tmp_path, images, how, whole=False)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
@pytest.mark.parametrize("size", [(28, 28), (40, 40), (40, 90), (20, 48)])
def test_small_images_of_one_size_look_as_in_the_report(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    images = [encoded(size, mode, i) for i in range(10)]
    compare(tmp_path, images, GREY if mode != "RGB" else COLOUR, whole=True)


def test_a_wide_image_is_cropped_and_not_squashed() -> None:
    array = np.zeros((100, 200, 3), np.uint8)
    array[:, :, 0] = np.linspace(0, 255, 200)[None]
    how = Preprocessing((0.0,) * 3, (1.0,) * 3, (32, 32), "bilinear", 3, 1.0)
    seen = Student(torch.nn.Identity(), Architecture(name="x"), ("a",), how).inputs([Image.fromarray(array)])
    assert 0.2 < float(seen[0, 0, 0, 0]) < 0.3  # the middle half begins at a quarter of the ramp


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(InvalidDataset, match=r"x\.png"):
        Student(torch.nn.Identity(), Architecture(name="x"), ("a",), GREY).inputs([tmp_path / "x.png"])


def test_many_images_are_looked_at_in_parts_and_none_are_no_error() -> None:
    """One pass over a folder of thousands would take a machine's memory (ResNet-18 at 224: 7 MB an image)."""
    sizes: list[int] = []

    class Brightness(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)

    student = Student(Brightness(), Architecture(name="x"), ("bright", "dark"), GREY)
    images = [Image.new("L", (4, 4), 255 * (i % 3 == 0)) for i in range(2 * BATCH + 3)]
    found = student.predict(iter(images))
    assert [prediction.label for prediction in found] == [
        "bright" if i % 3 == 0 else "dark" for i in range(len(images))
    ]
    assert sizes == [BATCH, BATCH, 3]
    assert student.predict([]) == []
    assert student.probabilities([]).shape == (0, 2)


@pytest.mark.parametrize(("size", "told"), [((32, 32), 32), ((64, 96), [64, 96])])
def test_the_size_that_is_told_is_the_whole_one(size: tuple[int, int], told: object) -> None:
    assert Preprocessing((0.5,), (0.5,), size, channels=1).resolved()["image_size"] == told
