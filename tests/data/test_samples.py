"""Opened datasets: pixels, shapes, digests, subsets, torch-free inspection."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from distill.errors import InvalidConfig, UnknownName
from distill.modalities.images import inspect, open_dataset
from distill.modalities.images.sheet import Sheet
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, tree, write_parquet, write_zip
from tests.slowness import within


def test_inspection_and_its_package_load_no_torch():
    code = (
        "import sys, distill.modalities.images.report, distill.safetensors_header as h;"
        "from distill.types import DatasetInput as D;"
        "from distill.modalities.images import inspect; inspect(D(kind='named', name='digits'));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=within(120))


def test_report(tmp_path):
    files = tree(2, 3, "train", (8, 10)) | tree(2, 1, "test") | {"test/class0/copy.png": image_bytes(0, (6, 30), "L")}
    files["test/class1/same.png"] = files["train/class0/0.png"]
    report = inspect(archive(write_zip(tmp_path / "a.zip", files)))
    assert report.counts == {"train": [3, 3], "test": [2, 2]}
    assert report.heights == (6, 8, 8)
    assert report.widths == (8, 10, 30)
    assert report.modes == {"grey": 1, "colour": 9}
    assert report.duplicates_between_splits == 1
    assert report.verified == 10
    assert report.to_dict()["digest"] == report.digest


@pytest.mark.parametrize("form", ["png", "webp"])
def test_contact_sheet(tmp_path, form):
    files = {f"c{i % 3}/{i}.png": image_bytes(i, (5 + i, 90)) for i in range(30)}
    data = archive(write_zip(tmp_path / "a.zip", files))
    found = inspect(data, sheet=tmp_path / f"sheet.{form}")
    assert found.thumbnails == Sheet(rows=3, columns=8, tile=64)
    assert found.to_dict()["thumbnails"] == {"rows": 3, "columns": 8, "tile": 64}
    with Image.open(tmp_path / f"sheet.{form}") as sheet:
        assert sheet.format == form.upper()
        assert sheet.size == (8 * 64, 3 * 64)
    inspect(data, sheet=tmp_path / f"again.{form}")
    assert (tmp_path / f"sheet.{form}").read_bytes() == (tmp_path / f"again.{form}").read_bytes()


def test_tiles_are_the_first_training_images_of_their_class(tmp_path):
    colours = {"blue": (0, 0, 255), "red": (255, 0, 0)}
    files = {}
    for name, colour in colours.items():
        out = io.BytesIO()
        Image.new("RGB", (8, 8), colour).save(out, "PNG")
        files |= {f"train/{name}/{i}.png": out.getvalue() for i in range(3)} | {f"test/{name}/0.png": out.getvalue()}
    inspect(archive(write_zip(tmp_path / "a.zip", files)), sheet=tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        for row, colour in enumerate(colours.values()):
            pixels = [sheet.getpixel((64 * x + 5, 64 * row + 5)) for x in range(8)]
            assert pixels == [colour] * 3 + [(255, 255, 255)] * 5


def test_a_sheet_of_many_classes_has_the_first_fifty(tmp_path):
    files = {f"c{i:03}/{j}.png": image_bytes(i + j) for i in range(60) for j in range(2)}
    data = archive(write_zip(tmp_path / "a.zip", files))
    assert inspect(data, sheet=tmp_path / "sheet.webp").thumbnails.rows == 50


def test_digest_follows_content_labels_and_names(tmp_path):
    images = [image_bytes(i) for i in range(8)]
    labels = [0, 1] * 4

    def digest(images, labels, names):
        path = write_parquet(tmp_path / "a.parquet", images, labels, names)
        return open_dataset(
            DatasetInput(kind="parquet", name="p", files={"train": str(path), "test": str(path)})
        ).digest

    first = digest(images, labels, ["a", "b"])
    assert first == digest(images, labels, ["a", "b"])
    assert first != digest(images, [1, 0, *labels[2:]], ["a", "b"])
    assert first != digest([images[1], images[0], *images[2:]], labels, ["a", "b"])
    assert first != digest(images, labels, ["a", "c"])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_modes(tmp_path, mode):
    files = {f"c{i % 2}/{i}.png": image_bytes(i, (5, 7), mode) for i in range(6)}
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    channels = 1 if mode in ("L", "I;16") else 3
    assert data.channels == channels
    assert data.train.uniform_shape == (channels, 5, 7)
    pixels = data.train.pixels([0, 2])
    assert pixels.shape == (2, channels, 5, 7)
    one = np.asarray(data.train.image(2))
    np.testing.assert_array_equal(pixels[1].numpy(), one[None] if channels == 1 else one.transpose(2, 0, 1))


def test_grey_and_colour_mix(tmp_path):
    files = {f"c{i % 2}/{i}.png": image_bytes(i, (5, 7), "L" if i == 4 else "RGB") for i in range(6)}
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    assert data.train.pixels(range(len(data.train))).shape[1] == 3


def test_sizes_that_differ(tmp_path):
    files = {f"c{i % 2}/{i}.png": image_bytes(i, (5 + i, 7)) for i in range(6)}
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    assert data.train.uniform_shape is None
    assert data.native_size is None
    with pytest.raises(InvalidConfig, match="differ"):
        data.train.pixels([0, 1])


def test_large_uniform_images_are_decoded_on_demand(tmp_path):
    files = {f"c{i % 2}/{i}.png": image_bytes(i, (100, 120)) for i in range(6)}
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    assert data.train.cached(torch.device("cpu")) is None
    assert data.train.pixels([1, 0]).shape == (2, 3, 100, 120)


def test_subset_of_subset():
    data = open_dataset(DatasetInput(kind="named", name="digits")).train
    part = data.subset([5, 9, 2]).subset(torch.tensor([2, 0]))
    assert len(part) == 2
    assert torch.equal(part.labels, data.labels[[2, 5]])
    assert torch.equal(part.pixels([0, 1]), data.pixels([2, 5]))
    np.testing.assert_array_equal(np.asarray(part.image(1)), np.asarray(data.image(5)))


def test_unknown_kind_cannot_be_written_and_unknown_set_is_named():
    with pytest.raises(ValueError, match="kind"):
        DatasetInput(kind="ftp", name="x")  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        open_dataset(DatasetInput(kind="named", name="../digits"))
