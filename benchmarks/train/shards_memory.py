"""Whether memory stays flat over epochs of shards: `python -m benchmarks.train.shards_memory [--images 200000]`.

Makes small JPEGs in `--shards` tars, serves them by HTTP on this machine, writes their index, and trains a small
student for `--epochs` epochs with `--workers` loader processes and a cache of a quarter of the shards. After every
epoch the resident memory of the trainer and of its loader processes is read from /proc; the time to the first batch is
that of an empty cache. Prints one JSON object; aim: the last epoch within 5 % of the first.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from PIL import Image

from distill.data.limits import DEFAULT
from distill.data.windows import WINDOW
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.kinds.shards import index_of
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.shards import cache
from distill.modalities.images.shards.index import write
from distill.models import build
from distill.types import Architecture, DatasetInput

CLASSES = 10
PICTURES = 500
"""Different ones: encoding each anew would take longer than all else."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--shards", type=int, default=50)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="retort-shards-") as folder:
        print(json.dumps(measured(Path(folder), options), indent=2))


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything in `folder`, the cache too."""
    total = make(folder / "shards", options.images, options.shards, options.side)
    largest = max(path.stat().st_size for path in (folder / "shards").iterdir())
    budget = max(total // 4, 2 * WINDOW * largest)
    os.environ |= {cache.FOLDER: str(folder / "cache"), cache.BYTES: str(budget)}
    with served(folder / "shards") as address:
        name = f"{address}/{{000000..{options.shards - 1:06}}}.tar"
        index = index_of(DatasetInput(kind="shards", name="made", files={"all": name}), DEFAULT, folder)
        write(index, folder / "made.shards")
        del index
        found = trained(folder / "made.shards", options)
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    return vars(options) | machine | {"bytes": total, "cache_bytes": budget} | found


def make(folder: Path, images: int, shards: int, side: int) -> int:
    """Bytes of all shards."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    pictures = []
    for _ in range(PICTURES):
        data = io.BytesIO()
        small = draws.integers(0, 256, (6, 6, 3), np.uint8)  # as smooth as photographs, and as well compressed
        Image.fromarray(small).resize((side, side + 5), Image.Resampling.BICUBIC).save(data, "JPEG")
        pictures.append(data.getvalue())
    each = images // shards
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:06}.tar", "w") as archive:
            for number in range(shard * each, (shard + 1) * each):
                put(archive, f"{number:08}.jpg", pictures[number % PICTURES])
                put(archive, f"{number:08}.cls", str(number % CLASSES).encode())
    return sum(path.stat().st_size for path in folder.iterdir())


def put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def trained(index: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Resident MiB after every epoch, seconds to the first batch, images/s of the last epoch."""
    begun = time.perf_counter()
    samples = open_dataset(DatasetInput(kind="shards", name="made", files={"index": str(index)})).train
    opened = time.perf_counter() - begun
    how = Preprocessing((0.5,) * 3, (0.25,) * 3, (32, 32), channels=3)
    loader = Loader(samples, range(len(samples)), options.batch, how, augmentation="crop_flip", workers=options.workers)
    student = build(Architecture(name="retort:resnet8", options={"width": 4}), CLASSES, 3, (32, 32))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    resident, first, rate = [], 0.0, 0.0
    for epoch in range(options.epochs):
        begun = time.perf_counter()
        for batch in loader.epoch(epoch):
            first = first or time.perf_counter() - begun
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(student(batch.student), batch.labels).backward()
            optimizer.step()
        rate = loader.batches_per_epoch * options.batch / (time.perf_counter() - begun)
        resident.append(memory())
    loader.close()
    grown = {role: resident[-1][role] / max(resident[0][role], 1e-9) - 1 for role in resident[0]}
    return {
        "seconds_to_open": opened, "seconds_to_the_first_batch": first, "images_per_second": rate,
        "resident_mib": resident, "grown": grown,
    }  # fmt: skip


def memory() -> dict[str, float]:
    """Resident MiB of this process, and of all its loader processes."""
    own = psutil.Process()
    workers = sum(child.memory_info().rss for child in own.children(recursive=True))
    return {"trainer": own.memory_info().rss / 2**20, "workers": workers / 2**20}


if __name__ == "__main__":
    main()
