"""Images a second of one core, from JPEGs of 2 and 12 megapixels to crops of 224: `python -m benchmarks.data.large`.

Pictures with the spectrum of photographs, as blurred as by a lens (made at two thirds of their size and enlarged), are
kept as files of a folder. Arms: Pillow and simplejpeg bare, and
this project's `Loader` with `crop_flip`, once decoding every picture whole and once smaller where its crop allows that;
both see the same crops, others in every round. What counts is the process's CPU time, the median of the rounds. Peak
memory is what the process has more, at most, while an arm runs than before it. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import io
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import simplejpeg
import torch
from PIL import Image

from benchmarks.data.made_up import spectrum
from benchmarks.quality.memory import reset_peak, resident
from distill.modalities.images import Loader, large, open_dataset
from distill.modalities.images.preprocessing import Preprocessing
from distill.types import DatasetInput

SIZES, SIDE = ((1200, 1600), (3000, 4000)), 224
SEEN = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (SIDE, SIDE), "bilinear", 3)
Arm = Callable[[int], None]
"""Reads every image once, in a round of this number."""
SMALLER = large.divisor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8, help="of 12 megapixels, and six times as many of 2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quality", type=int, default=90, help="of the JPEGs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, Pillow "
        f"{version('pillow')}, simplejpeg {version('simplejpeg')}; load {os.getloadavg()[0]:.0f}\n\n"
        "| pictures | | images a CPU second | ms an image | peak memory, MB |\n|---|---|---:|---:|---:|"
    )
    for (height, width), images in zip(SIZES, (options.images * 6, options.images), strict=True):
        with TemporaryDirectory(prefix="retort-bench-") as folder:
            files = made(Path(folder), (height, width), images, options.quality)
            about = f"{width} x {height}, {statistics.mean(map(len, files)) / 1000:.0f} kB"
            for name, (seconds, peak) in measured(arms(Path(folder), files), images, options.rounds).items():
                print(f"| {about} | {name} | {1 / seconds:.1f} | {seconds * 1000:.1f} | {peak / 1e6:.0f} |", flush=True)


def made(folder: Path, size: tuple[int, int], images: int, quality: int) -> list[bytes]:
    """The files' bytes; also below `folder` by class. Each is another window of two pictures."""
    (height, width), random, files = size, np.random.default_rng(0), []
    for number in range(images):
        if number % max(images // 2, 1) == 0:
            pixels = spectrum(random, height * 2 // 3, width * 2 // 3).astype(np.float32)
            pixels = np.clip((pixels - pixels.mean()) / pixels.std() * 55 + 120, 0, 255).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(np.roll(pixels, number * 72, 2).transpose(1, 2, 0)))
        buffer = io.BytesIO()
        picture.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
        files.append(buffer.getvalue())
        for split in ("train", "test")[: 2 if number < 2 else 1]:
            place = folder / split / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:05}.jpg").write_bytes(files[-1])
    return files


def arms(folder: Path, files: list[bytes]) -> dict[str, Arm]:
    train = open_dataset(DatasetInput(kind="folder", name="b", files={"all": str(folder)})).train
    loader = Loader(train, range(len(train)), min(8, len(train)), SEEN, augmentation="crop_flip", drop_last=False)

    def pillow(number: int) -> None:
        for data in files:
            np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def bare(number: int) -> None:
        for data in files:
            simplejpeg.decode_jpeg(data)

    def ours(number: int) -> None:
        for _ in loader.epoch(number):
            pass

    def whole(number: int) -> None:
        large.divisor = lambda box, wanted: 1
        try:
            ours(number)
        finally:
            large.divisor = SMALLER

    return {"Pillow, bare": pillow, "simplejpeg, bare": bare, "ours, decoded whole": whole, "ours": ours}


def measured(arms: dict[str, Arm], images: int, rounds: int) -> dict[str, tuple[float, int]]:
    """CPU seconds an image, the median of the rounds, and the largest growth of memory, bytes."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    peaks = dict.fromkeys(arms, 0)
    for number in range(-1, rounds):  # the first for what is loaded on first use
        for name, arm in arms.items():
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what was freed before is the system's again
            reset_peak()
            before, began = resident("VmRSS"), time.process_time()
            arm(max(number, 0))
            spent = (time.process_time() - began) / images
            if number >= 0:
                seconds[name].append(spent)
                peaks[name] = max(peaks[name], resident("VmHWM") - before)
    return {name: (statistics.median(seconds[name]), peaks[name]) for name in arms}


if __name__ == "__main__":
    sys.exit(main())
