"""12 bits in 16-bit PNGs: what a network sees of them, with a range and without, from the file to the student."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images import open_dataset
from distill.modalities.images.depth import to_bytes
from distill.modalities.images.report import inspect
from distill.student import load_student
from distill.tasks.inspection import inspect as inspect_any
from distill.types import Architecture, DatasetInput
from tests.data.files import image_bytes, write_zip
from tests.run.conftest import go, spec

TWELVE = (0, 4095)


def values(seed: int, size: int = 16) -> NDArray[np.uint16]:
    found = np.random.default_rng(seed).integers(0, 4096, (size, size)).astype(np.uint16)
    found[0, :2] = 0, 4095
    return found


def png(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def given(path: Path, between: tuple[int, int] | None, size: int = 16, **more: bytes) -> DatasetInput:
    files = {
        f"{split}/{label}/{i}.png": png(values(1000 * (split == "test") + 100 * n + i, size))
        for split in ("train", "test") for n, label in enumerate("ab") for i in range(12)
    }  # fmt: skip
    archive = write_zip(path, files | {name.replace("__", "/") + ".png": data for name, data in more.items()})
    return DatasetInput(kind="archive", name="cells", files={"all": str(archive)}, pixel_range=between)


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (0, 65535), (100, 101), (1000, 3000)])
def test_a_range_is_linear_rounded_and_clipped(low: int, high: int) -> None:
    wide = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    exact = (wide.astype(np.float64) - low) / (high - low) * 255
    assert np.array_equal(to_bytes(wide, (low, high)), np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8))


def test_without_a_range_the_upper_byte_is_kept() -> None:
    wide = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_bytes(wide, None), (wide >> 8).astype(np.uint8))


@pytest.mark.parametrize("size", [16, 120])  # kept decoded, and decoded one by one
@pytest.mark.parametrize("between", [None, TWELVE])
def test_the_pixels_that_training_sees(size: int, between: tuple[int, int] | None, tmp_path: Path) -> None:
    found = open_dataset(given(tmp_path / "a.zip", between, size)).train
    pixels = found.pixels([0])[0, 0].numpy()
    assert np.array_equal(pixels, to_bytes(values(0, size), between))
    assert pixels.max() == (255 if between else 15)


def test_images_of_8_bits_beside_them_stay_as_they_are(tmp_path: Path) -> None:
    plain = image_bytes(3, (16, 16), "L")
    found = open_dataset(given(tmp_path / "a.zip", TWELVE, train__a__0=plain)).train
    assert np.array_equal(found.pixels([0])[0, 0].numpy(), np.asarray(Image.open(io.BytesIO(plain))))


def test_the_digest_knows_the_range(tmp_path: Path) -> None:
    ranges = (None, TWELVE, (0, 4096))
    assert len({open_dataset(given(tmp_path / "a.zip", between)).digest for between in ranges}) == 3


def test_the_inspection_offers_the_range_says_it_and_shows_it(tmp_path: Path) -> None:
    dark = inspect(given(tmp_path / "a.zip", None), sheet=tmp_path / "dark.png")
    assert any("pixel_range [0, 4095]" in note for note in dark.notes)
    bright = inspect(given(tmp_path / "a.zip", (0, 4000)), sheet=tmp_path / "bright.png")
    assert any("0 to 4,000" in note and "4,095" in note for note in bright.notes)
    tops = [
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))[:64, :64].max() for name in ("dark", "bright")
    ]
    assert tops == [15, 255]


def test_a_range_where_no_image_has_16_bits_is_refused(tmp_path: Path) -> None:
    files = {f"{label}/{i}.png": image_bytes(i, (16, 16), "L") for label in "ab" for i in range(5)}
    path = write_zip(tmp_path / "a.zip", files)
    dataset = DatasetInput(kind="archive", name="plain", files={"all": str(path)}, pixel_range=TWELVE)
    with pytest.raises(InvalidDataset):
        inspect(dataset)


def test_a_range_of_texts_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\n" + "".join(f"words {i},{i % 2}\n" for i in range(20)))
    dataset = DatasetInput(kind="table", name="t", files={"all": str(table)}, pixel_range=TWELVE)
    with pytest.raises(InvalidDataset) as caught:
        inspect_any(dataset)
    assert caught.value.details["pixel_range"] == TWELVE


def test_a_student_sees_new_images_as_its_training_did(tmp_path: Path) -> None:
    dataset = given(tmp_path / "a.zip", TWELVE)
    student = Architecture(name="retort:resnet8", options={"width": 4})
    go(
        spec(dataset=dataset, student=student, recipe="cross_entropy", epochs=1, batch_size=4, train_limit=None),
        tmp_path,
    )
    path = tmp_path / "artifacts" / "student.safetensors"
    loaded = load_student(path)
    assert loaded.preprocessing.pixel_range == TWELVE
    assert json.loads((path.parent / "student.json").read_text())["preprocessing"]["pixel_range"] == [0, 4095]
    fresh = tmp_path / "new.png"
    fresh.write_bytes(png(values(1000)))  # the first test image
    seen = loaded.inputs([fresh, Image.open(fresh)])
    expected = (torch.from_numpy(to_bytes(values(1000), TWELVE)).float() / 255 - 0.5) / 0.25
    for image in seen[:, 0]:
        torch.testing.assert_close(image, expected, atol=1e-6, rtol=1e-6)
