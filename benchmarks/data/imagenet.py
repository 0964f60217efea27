"""A made-up ImageNet: `python -m benchmarks.data.imagenet FOLDER [--images 5000] [--shards 20] [--s3 URL --bucket B]`.

1,000 classes, pictures of ImageNet's usual sizes (500 x 375, 375 x 500, 500 x 333 and near them) with the spectrum of
photographs, some 110 kB each, in tars as WebDataset writes them (`imagenet-train-000000.tar`, and one of
`imagenet-val-` for each ten of them), with `classes.txt`. The classes differ by colour and orientation, so that a
network can learn something. With `--s3` the files go into a bucket of that server too, by the credentials in
RETORT_S3_ACCESS_KEY and RETORT_S3_SECRET_KEY.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
from minio import Minio
from numpy.typing import NDArray
from PIL import Image

from benchmarks.data.made_up import put, spectrum

CLASSES, SIDE, QUALITY = 1000, 1400, 88
SIZES = ((500, 375), (375, 500), (500, 333), (500, 400), (500, 500))
SHARES = (0.5, 0.2, 0.15, 0.1, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--s3", help="address of a server")
    parser.add_argument("--bucket", default="imagenet")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    field = _field(random)
    held_out = max(options.shards // 10, 1)
    number = 0
    for kind, shards in (("train", options.shards), ("val", held_out)):
        each = options.images // options.shards
        for shard in range(shards):
            with tarfile.open(options.folder / f"imagenet-{kind}-{shard:06}.tar", "w") as tar:
                for _ in range(each):
                    _add(tar, number, random.permutation(CLASSES)[0] if kind == "val" else number % CLASSES, field)
                    number += 1
    (options.folder / "classes.txt").write_text("".join(f"class {label:03}\n" for label in range(CLASSES)))
    files = sorted(options.folder.iterdir())
    print(f"{number} pictures, {sum(path.stat().st_size for path in files) / 1e9:.2f} GB in {len(files) - 1} shards")
    if options.s3:
        _put(options.s3, options.bucket, files)


def _field(random: np.random.Generator) -> NDArray[np.float32]:
    """(side, side, 3) in [0, 1) whose amplitude falls as 1 / frequency: pictures are cut out of it."""
    pixels = spectrum(random, SIDE, SIDE).transpose(1, 2, 0)
    scaled: NDArray[np.float32] = np.float32((pixels - pixels.min()) / np.ptp(pixels))
    return scaled


def _add(tar: tarfile.TarFile, number: int, label: int, field: NDArray[np.float32]) -> None:
    random = np.random.default_rng(number)
    width, height = SIZES[random.choice(len(SIZES), p=SHARES)]
    top, left = random.integers(0, SIDE - height), random.integers(0, SIDE - width)
    part = field[top : top + height, left : left + width]
    part = part / max(float(part.max()), 1e-6) + random.normal(0, 0.05, part.shape).astype(np.float32)
    tint = np.array([label % 10, label // 10 % 10, label // 100], np.float32) / 9
    pixels = np.clip(255 * part * (0.4 + 0.6 * tint), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    for ending, data in (("jpg", buffer.getvalue()), ("cls", str(label).encode())):
        put(tar, f"n{label:08}_{number:07}.{ending}", data)


def _put(address: str, bucket: str, files: list[Path]) -> None:
    scheme, _, host = address.partition("://")
    keys = (os.environ["RETORT_S3_ACCESS_KEY"], os.environ["RETORT_S3_SECRET_KEY"])
    store = Minio(endpoint=host, access_key=keys[0], secret_key=keys[1], secure=scheme == "https")
    if not store.bucket_exists(bucket_name=bucket):
        store.make_bucket(bucket_name=bucket)
    for path in files:
        store.fput_object(bucket_name=bucket, object_name=path.name, file_path=str(path))


if __name__ == "__main__":
    sys.exit(main())
