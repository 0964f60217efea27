"""Images a second of one core, from JPEGs of 500 x 400 to crops of 224: `python -m benchmarks.data [--images 300]`.

Pictures with the spectrum of photographs (amplitude 1/f) are made and kept as files of a folder and as one tar. Every
arm reads all of them in this process, with one thread: bare decoders (Pillow, Pillow at reduced scale, simplejpeg, and
OpenCV, imagecodecs and libvips where they are installed; libvips also of the middle 224 x 224 alone), this project's
`Loader` with `crop_flip` over the folder and over shards, timm's loader and torchvision's reference transforms, the
last two without colour and with the same crop. The arms take turns for `--rounds` rounds; what counts is the process's
CPU time, so that a busy machine disturbs little, and the median of the rounds. Prints a table in Markdown. Aim: ours at
least 0.9 of Pillow's bare decoder and at least twice timm's.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import simplejpeg
import torch
from PIL import Image

import distill.torchvision_shim  # noqa: F401 - before timm and torchvision
from benchmarks.data.made_up import put, spectrum
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.preprocessing import Preprocessing
from distill.types import DatasetInput

WIDTH, HEIGHT, SIDE, BATCH, QUALITY = 500, 400, 224, 50, 90
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Arm = Callable[[], int]
"""Reads every image once; how many those were."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="a multiple of 50")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="retort-bench-") as folder:
        os.environ["RETORT_SHARD_CACHE"] = f"{folder}/cache"
        files = made(Path(folder), options.images)
        arms = {**decoders(files), **loaders(Path(folder))}
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for arm in arms.values():  # what is loaded on first use
            arm()
        for _ in range(options.rounds):
            for name, arm in arms.items():
                began = time.process_time()
                seen = arm()
                seconds[name].append((time.process_time() - began) / seen)
        print(table({name: 1 / statistics.median(each) for name, each in seconds.items()}, files))


def made(folder: Path, images: int) -> list[bytes]:
    """The files' bytes; also below `folder`/images by class, and in `folder`/shards/000000.tar."""
    random, files = np.random.default_rng(0), []
    (folder / "shards").mkdir()
    with tarfile.open(folder / "shards" / "000000.tar", "w") as tar:
        for number in range(images):
            pixels = spectrum(random, HEIGHT, WIDTH)
            pixels = (pixels - pixels.mean()) / pixels.std() * 55 + 120
            buffer = io.BytesIO()
            picture = np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
            files.append(buffer.getvalue())
            place = folder / "images" / "train" / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:05}.jpg").write_bytes(files[-1])
            for ending, data in (("jpg", files[-1]), ("cls", str(number % 2).encode())):
                put(tar, f"{number:05}.{ending}", data)
    test = folder / "images" / "test"
    for label in (0, 1):
        (test / f"class{label}").mkdir(parents=True)
        (test / f"class{label}" / "0.jpg").write_bytes(files[label])
    return files


def decoders(files: list[bytes]) -> dict[str, Arm]:
    def pillow() -> int:
        for data in files:
            np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        return len(files)

    def reduced() -> int:
        """The DCT at half size, the least that is as large as the crop."""
        for data in files:
            image = Image.open(io.BytesIO(data))
            image.draft("RGB", (WIDTH // 2, HEIGHT // 2))
            np.asarray(image.convert("RGB"))
        return len(files)

    def smaller() -> int:
        for data in files:
            simplejpeg.decode_jpeg(data, min_height=SIDE // 2, min_width=SIDE)
        return len(files)

    found: dict[str, Arm] = {"Pillow, bare": pillow, "Pillow, bare, at half scale": reduced}
    found |= {name: _each(decode, files) for name, decode in {**_own(), **_others()}.items()}
    return found | {"simplejpeg, bare, at reduced scale": smaller}


def _each(decode: Callable[[bytes], object], files: list[bytes]) -> Arm:
    def run() -> int:
        for data in files:
            decode(data)
        return len(files)

    return run


def _own() -> dict[str, Callable[[bytes], object]]:
    return {"simplejpeg, bare": lambda data: simplejpeg.decode_jpeg(data, strict=True)}


def _others() -> dict[str, Callable[[bytes], object]]:
    """Decoders that are no dependency of this project, where they are installed."""
    found: dict[str, Callable[[bytes], object]] = {}
    if find_spec("cv2") is not None:
        cv2: Any = import_module("cv2")
        cv2.setNumThreads(1)
        found["OpenCV, bare"] = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if find_spec("imagecodecs") is not None:
        found["imagecodecs, bare"] = import_module("imagecodecs").jpeg8_decode
    if find_spec("pyvips") is not None:
        os.environ["VIPS_CONCURRENCY"] = "1"
        load = import_module("pyvips").Image.jpegload_buffer
        left, top = (WIDTH - SIDE) // 2, (HEIGHT - SIDE) // 2
        found["libvips, bare"] = lambda data: np.asarray(load(data))
        found["libvips, the middle alone"] = lambda data: np.asarray(
            load(data, access="sequential").crop(left, top, SIDE, SIDE)
        )
    return found


def loaders(folder: Path) -> dict[str, Arm]:
    seen = Preprocessing(MEAN, STD, (SIDE, SIDE), "bilinear", 3)
    kinds = {
        "ours, a folder": DatasetInput(kind="folder", name="b", files={"all": str(folder / "images")}),
        "ours, shards": DatasetInput(kind="shards", name="b", files={"all": str(folder / "shards" / "000000.tar")}),
    }
    return {name: _ours(dataset, seen) for name, dataset in kinds.items()} | {
        "timm's loader": _timm(folder / "images" / "train"),
        "torchvision's reference": _torchvision(folder / "images" / "train"),
    }


def _ours(dataset: DatasetInput, seen: Preprocessing) -> Arm:
    train = open_dataset(dataset).train
    loader = Loader(train, range(len(train) - len(train) % BATCH), BATCH, seen, augmentation="crop_flip")

    def run() -> int:
        return sum(len(batch.index) for batch in loader.epoch(0))

    return run


def _timm(folder: Path) -> Arm:
    from timm.data import ImageDataset, create_loader

    loader = create_loader(
        ImageDataset(str(folder)), (3, SIDE, SIDE), BATCH, is_training=True, use_prefetcher=False, num_workers=0,
        color_jitter=0, auto_augment=None, interpolation="bilinear", mean=MEAN, std=STD, persistent_workers=False,
        device=torch.device("cpu"),
    )  # fmt: skip
    return lambda: sum(len(labels) for _, labels in loader)


def _torchvision(folder: Path) -> Arm:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.RandomResizedCrop(SIDE, antialias=True), v2.RandomHorizontalFlip(), v2.PILToTensor()]
    after: list[Any] = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    loader = torch.utils.data.DataLoader(ImageFolder(str(folder), v2.Compose([*steps, *after])), BATCH, shuffle=True)
    return lambda: sum(len(labels) for _, labels in loader)


def table(rates: Mapping[str, float], files: list[bytes]) -> str:
    bare, timm = rates["Pillow, bare"], rates["timm's loader"]
    size = statistics.mean(map(len, files)) / 1000
    said = [
        f"{len(files)} JPEGs of {WIDTH} x {HEIGHT}, {size:.0f} kB each on average; {platform.machine()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, Pillow {version('pillow')}, "
        f"torchvision {version('torchvision')}, timm {version('timm')}; load {os.getloadavg()[0]:.0f}",
        "",
        "| | images a CPU second | of Pillow's bare decoder | of timm's loader |",
        "|---|---:|---:|---:|",
    ]
    said += [f"| {name} | {rate:.0f} | {rate / bare:.2f} | {rate / timm:.2f} |" for name, rate in rates.items()]
    return "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
