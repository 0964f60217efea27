"""Crops of large JPEGs are made of a smaller picture: the same place, nearly the same pixels, the same every time."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from distill.data.limits import DEFAULT
from distill.modalities.images import Loader, jpeg, open_dataset
from distill.modalities.images.crops import random_box
from distill.modalities.images.pixel_crops import cropped, resized
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.reduced import divisor
from distill.types import DatasetInput
from tests.data.files import write_tar
from tests.data.shard_files import of_shards

HEIGHT, WIDTH = 701, 903


def seen(height: int, width: int, interpolation: str = "bilinear", channels: int = 3) -> Preprocessing:
    return Preprocessing((0.5,) * channels, (0.5,) * channels, (height, width), interpolation, channels)


def saved(pixels: np.ndarray, mode: str | None = None, **how: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "JPEG", **{"quality": 95, **how})
    return buffer.getvalue()


def places(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Red tells the column, green the row, in units of a 250th of the picture, at the middle of the pixels."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns * 250 / width, rows * 250 / height, np.full_like(rows, 128)], 2).round().astype(np.uint8)


def spot(x: float, y: float) -> np.ndarray:
    """A red spot on blue, whose middle is at (x, y) from the picture's corner."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    light = 210 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 30**2)
    return np.stack([20 + light, np.full_like(light, 40), 230 - light], 2).round().astype(np.uint8)


def middle(light: np.ndarray) -> tuple[float, float]:
    light = np.clip(light - 8, 0, None)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return (columns * light).sum() / light.sum(), (rows * light).sum() / light.sum()


def boxes(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[tuple[float, float, float, float]]:
    draws = np.random.default_rng(0)
    return [random_box((height, width), draws.random(6).tolist()) for _ in range(count)]


def shown(data: bytes, box: tuple[float, ...], how: Preprocessing, by: int) -> np.ndarray:
    found = jpeg.decoded(data, DEFAULT.pixels, lambda size: by)
    assert found is not None
    assert found.divisor == by
    return resized(cropped(found, box), how).astype(float)


def photographs() -> list[np.ndarray]:
    return load_sample_images().images


def test_the_divisor_leaves_twice_the_input_on_both_sides():
    how = seen(224, 224)
    assert divisor((0, 0, 4000, 3000), [how]) == 4
    assert divisor((0, 0, 4000, 3584), [how]) == 8
    assert divisor((0, 0, 4000, 3583), [how]) == 4
    assert divisor((10.5, 0, 906.5, 896), [how]) == 2
    assert divisor((10.5, 0, 906.4, 896), [how]) == 1
    assert divisor((0, 0, 500, 400), [how]) == 1
    assert divisor((0, 0, 4000, 3000), [how, seen(384, 224)]) == 2  # a teacher that sees more counts
    assert divisor((0, 0, 4000, 3000), [seen(224, 224, "nearest")]) == 1


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_a_crop_shows_the_same_place(subsampling):
    """Rounding the edges to pixels of the smaller picture would shift a spot by up to `by` / 2 pixels."""
    for box in boxes(8):
        left, top, right, bottom = (round(edge) for edge in box)
        there = (left + (right - left) * 0.4, top + (bottom - top) * 0.6)
        data = saved(spot(*there), subsampling=subsampling)
        for by in (2, 4, 8):
            found = shown(data, box, seen(20, 24), by)
            for light in (found[..., 0] - 20, 230 - found[..., 2]):  # red and blue: brightness and colour
                x, y = middle(light)
                assert left + x * (right - left) / 24 == pytest.approx(there[0], abs=0.25)
                assert top + y * (bottom - top) / 20 == pytest.approx(there[1], abs=0.25)


@pytest.mark.parametrize("by", [2, 4, 8])
def test_pixels_differ_by_less_than_half_of_what_two_ways_of_resizing_differ_by(by):
    ours, theirs = [], []
    for photograph in photographs():
        data, (height, width) = saved(photograph, quality=90), photograph.shape[:2]
        for box in boxes(12, height, width):
            side = int(min(box[2] - box[0], box[3] - box[1]) / by / 2)
            if side < 8:
                continue
            whole, other = (shown(data, box, seen(side, side, way), 1) for way in ("bilinear", "bicubic"))
            ours.append(np.abs(shown(data, box, seen(side, side), by) - whole).mean())
            theirs.append(np.abs(other - whole).mean())
    assert len(ours) >= 12
    assert np.mean(ours) < np.mean(theirs) / 2


@pytest.mark.parametrize(
    "how", [{"progressive": True}, {"mode": "L"}, {"keep_rgb": True}, {"restart_marker_blocks": 5}]
)
def test_every_kind_of_jpeg_is_read_smaller_as_its_own_mean(how):
    """libjpeg's pixels at half, a quarter and an eighth are means of squares of pixels."""
    data = saved(photographs()[0], **how)
    whole = np.asarray(Image.open(io.BytesIO(data))).astype(float)
    for by in (2, 4, 8):
        found = jpeg.decoded(data, DEFAULT.pixels, lambda size, by=by: by)
        height, width = whole.shape[0] // by, whole.shape[1] // by
        assert found is not None
        assert found.pixels.shape[:2] == (-(-whole.shape[0] // by), -(-whole.shape[1] // by))
        means = whole[: height * by, : width * by].reshape(height, by, width, by, -1).mean((1, 3))
        assert np.abs(found.pixels[:height, :width].reshape(means.shape) - means).mean() < 1.5


def test_cmyk_and_broken_files_are_left_to_the_whole_decoder():
    data = saved(places(), "CMYK")
    assert jpeg.decoded(data, DEFAULT.pixels, lambda size: 4) is None
    assert jpeg.decoded(saved(places())[:-900], DEFAULT.pixels, lambda size: 4) is None


def turned(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(pixels, exif=exif)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Five large JPEGs, one of them turned by EXIF, as files of a folder and in a shard."""
    root = tmp_path_factory.mktemp("kinds")
    train, test = {}, {}
    for number in range(5):
        pixels = np.roll(places(), number * 90, 1)
        train[f"{number}.jpg"] = turned(pixels) if number == 3 else saved(pixels)
        train[f"{number}.cls"] = b"01"[number // 4 : number // 4 + 1]
    for label in "01":
        test[f"t{label}.jpg"], test[f"t{label}.cls"] = saved(places(64, 64)), label.encode()
    for split, files in (("train", train), ("test", test)):
        write_tar(root / f"{split}.tar", files)
        for name in (name for name in files if name.endswith("jpg")):
            place = root / "images" / split / files[name.replace("jpg", "cls")].decode()
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(files[name])
    folder = DatasetInput(kind="folder", name="f", files={"all": str(root / "images")})
    return {"folder": folder, "shards": of_shards(root, train=root / "train.tar", test=root / "test.tar")}


def epoch(dataset: DatasetInput, augmentation: str, how: Preprocessing) -> torch.Tensor:
    train = open_dataset(dataset).train
    loader = Loader(train, range(len(train)), len(train), how, augmentation=augmentation, seed=3, shuffle=False)
    return next(iter(loader.epoch(0))).student


def test_a_seed_gives_the_same_crops_again_and_in_shards(kinds, monkeypatch, tmp_path):
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path))
    first, again, sharded = (epoch(kinds[kind], "crop_flip", seen(40, 40)) for kind in ("folder", "folder", "shards"))
    assert first.shape == (5, 3, 40, 40)
    assert torch.equal(first, again)
    assert torch.equal(first, sharded)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_shown_is_what_whole_pictures_show(kinds, monkeypatch, channels):
    """Also of a picture that EXIF turns, which neither way applies."""
    small = epoch(kinds["folder"], "crop_flip", seen(24, 24, channels=channels))
    monkeypatch.setattr("distill.modalities.images.large.divisor", lambda box, wanted: 1)
    whole = epoch(kinds["folder"], "crop_flip", seen(24, 24, channels=channels))
    assert not torch.equal(small, whole)
    assert ((small - whole).abs().mean((1, 2, 3)) * 127.5 < 1).all()  # levels of 255


def test_evaluation_decodes_whole(kinds):
    found = epoch(kinds["folder"], "none", seen(24, 24))
    image = Image.fromarray(places())
    image = Image.open(io.BytesIO(saved(np.asarray(image)))).resize((24, 24), 2, box=(101, 0, 802, 701))
    expected = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 * 2 - 1
    torch.testing.assert_close(found[0], expected)
