"""Pixels of JPEGs by the short way are those of Pillow, and what Pillow says of broken ones is what is said."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.data.limits import DEFAULT
from distill.modalities.images import jpeg
from distill.modalities.images.pixel_crops import Crop, cropped, resized
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.reduced import as_it_is
from distill.modalities.images.sources import Encoded, UnreadableImage

RESAMPLED = "from tests.data.test_jpeg_arrays import resampled; print(resampled())"


def resampled() -> str:
    """sha256 of images that torch has resized, and of crops of JPEGs that were decoded smaller than they are."""
    found, draws = hashlib.sha256(), np.random.default_rng(0)
    for shape in ((90, 120, 3), (33, 50, 3), (64, 64), (7, 200, 3)):
        for way in ("nearest", "bilinear", "bicubic"):
            how = Preprocessing((0.5,) * 3, (0.5,) * 3, (40, 56), way)
            found.update(resized(Crop(draws.integers(0, 256, shape, np.uint8)), how).tobytes())
    for by, kind in ((2, "4:2:0"), (4, "4:2:2"), (8, "4:4:4"), (8, "4:2:0")):
        data = saved(width=403, height=301, subsampling=kind, progressive=by == 4)
        decoded = jpeg.decoded(data, DEFAULT.pixels, lambda size, by=by: by)
        crop = cropped(decoded, (20.0, 13.0, 397.0, 290.0))
        found.update(decoded.pixels.tobytes() + resized(crop, Preprocessing((0.5,) * 3, (0.5,) * 3, (9, 11))).tobytes())
    return found.hexdigest()


class One(Encoded):
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __len__(self) -> int:
        return 1

    def name(self, i: int) -> str:
        return "it"

    def content(self, i: int) -> bytes:
        return self.data


def picture(mode: str, width: int = 83, height: int = 61) -> Image.Image:
    draws = np.random.default_rng(width)
    small = Image.fromarray(draws.integers(0, 256, (9, 11, 3), np.uint8)).resize((width, height), 3)
    noisy = np.clip(np.asarray(small) + draws.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy).convert(mode)


def saved(mode: str = "RGB", width: int = 83, height: int = 61, **how: object) -> bytes:
    buffer = io.BytesIO()
    picture(mode, width, height).save(buffer, "JPEG", **how)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(exif=exif)


WHOLE = {
    "4:2:0": saved(subsampling="4:2:0"),
    "4:2:2": saved(subsampling="4:2:2"),
    "4:4:4": saved(subsampling="4:4:4"),
    "progressive": saved(progressive=True, quality=60),
    "restarts": saved(restart_marker_blocks=3),
    "grey": saved("L"),
    "a pixel": saved(width=1, height=1),
    "of RGB": saved(keep_rgb=True),
    "turned by EXIF": turned(),
    "trailing bytes": saved() + b"left over" * 40,
}
ODD = {
    "CMYK": saved("CMYK"),
    "truncated": saved()[:-600],
    "no end": saved()[:-2],
    "noise in the scan": saved()[:1500] + bytes(range(256)) * 2 + saved()[2012:],
    "a header alone": saved()[:300],
    "nothing": b"",
    "a PNG": b"\x89PNG\r\n\x1a\n",
}


def read(one: One, how: str) -> np.ndarray | str:
    try:
        return one.decoded(0).pixels if how == "decoded" else np.asarray(one.image(0))
    except UnreadableImage as error:
        return str(error)


@pytest.mark.parametrize("name", WHOLE)
def test_the_short_way_gives_pillows_pixels(name):
    short = jpeg.decoded(WHOLE[name], DEFAULT.pixels)
    assert short is not None
    np.testing.assert_array_equal(short.pixels, np.asarray(One(WHOLE[name]).image(0)))


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_as_pillow_says(name):
    said, told = (read(One(ODD[name]), how) for how in ("decoded", "image"))
    assert isinstance(said, str) == isinstance(told, str)
    np.testing.assert_array_equal(said, told)


def test_bytes_that_were_tampered_with_read_alike_both_ways():
    draws, whole = np.random.default_rng(1), [saved(quality=80), saved("L"), saved(progressive=True)]
    for number in range(600):
        data = bytearray(whole[number % 3])
        for at in draws.integers(2, len(data), draws.integers(1, 4)):
            data[at] = draws.integers(256)
        said, told = (read(One(bytes(data)), how) for how in ("decoded", "image"))
        if isinstance(told, str):  # what Pillow cannot open is left out of a dataset when its heads are read
            continue
        np.testing.assert_array_equal(said, told)


def test_a_jpeg_of_too_many_pixels_is_left_to_who_refuses_it():
    assert jpeg.decoded(WHOLE["4:2:0"], 83 * 61 - 1) is None


def test_a_crop_is_resized_as_pillow_does():
    whole = as_it_is(np.asarray(picture("RGB", 200, 160)))
    crop = cropped(whole, (20.4, 9.6, 150.2, 130.0))
    assert crop.pixels.shape == (120, 130, 3)
    assert cropped(whole, (199.7, 159.8, 200.0, 160.0)).pixels.shape == (1, 1, 3)
    for how, there in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
        found = resized(crop, Preprocessing((0.5,) * 3, (0.5,) * 3, (64, 48), how))
        pillows = np.asarray(Image.fromarray(crop.pixels).resize((48, 64), there))
        assert np.abs(found.astype(int) - pillows.astype(int)).max() <= 1


def test_a_cpu_without_vector_instructions_decodes_and_resizes_to_the_same_bytes():
    """Those that torch and libjpeg-turbo choose for the CPU at hand."""
    without = {"ATEN_CPU_CAPABILITY": "default", "JSIMD_FORCENONE": "1"}
    environment = os.environ | without | {"PYTHONPATH": str(Path(__file__).parents[2])}
    told = subprocess.run([sys.executable, "-c", RESAMPLED], env=environment, capture_output=True, check=True)
    assert told.stdout.decode().strip() == resampled()
