"""Whether memory stays flat over epochs of shards: `python -m benchmarks.train.shards_memory [--images 200000]`.

Makes small JPEGs in `--shards` tars in a bucket of a real S3 server (SeaweedFS). This process is the worker: it
registers the shards and supplies them, by the code that workers run, within a cache of a quarter of them. A second
process trains a linear student for `--epochs` epochs with `--workers` loader processes; its resident memory and that of
its loader processes are read from /proc after every epoch, the highest of each epoch too. A further process scores a
tiny teacher of `--classes` classes by `--scored` samples of each within `--budget` bytes; `--epochs 0` looks at that
alone. Prints one JSON object; aims: the last epoch within 5 % of the first, the scoring's peak within its budget. How
long the first batch takes is measured by `benchmarks.train.first_batch`.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from minio import Minio
from PIL import Image
from torch import Tensor, nn

from benchmarks.data.made_up import put
from benchmarks.quality.memory import reset_peak, resident
from distill.data.limits import DEFAULT
from distill.data.windows import WINDOW
from distill.errors import RetortError
from distill.layers import discover
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.kinds.shards import index_of
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.samples import Samples
from distill.modalities.images.shards import cache
from distill.modalities.images.shards.index import write
from distill.modalities.images.shards.supply import INDEX, NAMES, SUPPLY
from distill.models import build
from distill.quality import score, stratified_sample
from distill.types import Architecture, DatasetInput
from store.settings import Settings
from tests.services import s3 as s3_server
from worker.transfer.shard_lists import listed
from worker.transfer.shards import Entry
from worker.transfer.supplier import Kept, Registering, Source, Supplier

TRAINED = 0.75
"""Share of the pictures that is surely not held out to test by."""
BUCKET = "photos"
SAME = ("batch", "workers", "epochs", "classes", "budget", "seen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--shards", type=int, default=50)
    parser.add_argument("--side", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=500, help="different ones; a curve wants all of them to differ")
    parser.add_argument("--seen", type=int, default=32, help="side of what networks see of them")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scored", type=int, nargs="*", default=[5, 50], help="samples a class")
    parser.add_argument("--budget", type=int, default=2 * 2**30, help="bytes that scoring may take")
    parser.add_argument("--of", default=None, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if max(options.scored, default=0) * options.classes > TRAINED * options.images:
        parser.error(f"{options.images} pictures train by fewer than {max(options.scored)} of each class.")
    torch.set_num_threads(1)
    if options.of is not None:
        print(json.dumps((trained if options.of == "train" else scored)(options.folder, options)))
        return
    with TemporaryDirectory(prefix="retort-shards-") as folder:
        print(json.dumps(measured(Path(folder), options), indent=2))


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything in `folder`, the cache too."""
    total = make(folder / "shards", options)
    files = sorted((folder / "shards").iterdir())
    budget = max(total // 4, 2 * WINDOW * max(path.stat().st_size for path in files))
    with stored(folder, files, budget) as settings:
        registered = Registered(folder / "registered", settings, len(files))
        found = registered.child("train", options) if options.epochs else {}
        found["scoring"] = [registered.child("score", options, f"--scored={each}") for each in options.scored]
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    return vars(options) | machine | {"bytes": total, "cache_bytes": budget} | found


@contextmanager
def stored(folder: Path, files: Sequence[Path], cache_bytes: int) -> Iterator[Settings]:
    """The files in a bucket of an S3 server, and no more here; settings of a service that reads it."""
    (folder / "s3").mkdir()
    with s3_server.running(folder / "s3") as server:
        _put_all(server, files)
        yield Settings(
            data_dir=folder / "data", s3_endpoint=server.endpoint, s3_access_key=s3_server.ACCESS_KEY,
            s3_secret_key=s3_server.SECRET_KEY, dataset_buckets=BUCKET, shard_cache_bytes=cache_bytes,
        )  # fmt: skip


def _put_all(server: s3_server.S3, files: Sequence[Path]) -> None:
    host = server.endpoint.removeprefix("http://")
    store = Minio(endpoint=host, access_key=s3_server.ACCESS_KEY, secret_key=s3_server.SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=BUCKET)
    for path in files:
        store.fput_object(bucket_name=BUCKET, object_name=path.name, file_path=str(path))
        path.unlink()


class Registered:
    """The first `count` shards, once they were read by the code of a worker's inspection."""

    def __init__(self, folder: Path, settings: Settings, count: int) -> None:
        self.folder, self.settings = folder, settings
        inspected = folder / "inspected"
        inspected.mkdir(parents=True)
        names = listed(settings, {"all": [f"s3://{BUCKET}/{{000000..{count - 1:06}}}.tar"]}, folder, lambda: None)
        source = Registering(settings, names["all"], folder / "looked", inspected / "links")
        (folder / "names").write_text(json.dumps({"roles": names, "classes": None}))
        limits = replace(DEFAULT, verify_pixels=10**7)  # heads alone of nearly all: what is registered was made here
        with supplied(settings, source, count, inspected):
            of = {NAMES: str(folder / "names"), SUPPLY: str(inspected / "links")}
            write(index_of(DatasetInput(kind="shards", name="made", files=of), limits, folder), folder / "made.shards")
        self.entries: list[Entry] = source.all()

    def child(self, what: str, options: argparse.Namespace, *more: str) -> dict[str, Any]:
        """What a process of this program finds that is supplied with the shards, from an empty cache."""
        same = [f"--{name}={getattr(options, name)}" for name in SAME]
        found, _ = self.run("benchmarks.train.shards_memory", "--of", what, *same, *more)
        print(what, more, found, file=sys.stderr, flush=True)
        return found

    def run(self, module: str, *arguments: str) -> tuple[dict[str, Any], float]:
        """What a module prints as JSON that is supplied with the shards, from an empty cache: its last argument is the
        folder that it works in. Beside it the seconds of this processor that supplying took."""
        with TemporaryDirectory(dir=self.folder) as work:
            folder = Path(work)
            (folder / "made.shards").symlink_to(self.folder / "made.shards")
            settings = self.settings.model_copy(update={"shard_cache": folder / "cache"})
            with supplied(settings, Kept(settings, self.entries), len(self.entries), folder):
                environment = os.environ | {cache.FOLDER: str(folder / "own")}
                command, used = [sys.executable, "-m", module, *arguments, work], time.process_time()
                told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
                used = time.process_time() - used
        found: dict[str, Any] = json.loads(told.stdout)
        return found, used


def supplied(settings: Settings, source: Source, count: int, folder: Path) -> Supplier:
    return Supplier(folder / "links", folder / "wanted", settings.kept_shards, settings.shard_cache_bytes).start(
        source, count
    )


def make(folder: Path, options: argparse.Namespace) -> int:
    """Bytes of all shards."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    pictures = []
    for _ in range(options.pictures):
        data = io.BytesIO()
        small = draws.integers(0, 256, (6, 6, 3), np.uint8)  # as smooth as photographs, and as well compressed
        size = (options.side, options.side + 5)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(data, "JPEG")
        pictures.append(data.getvalue())
    each = options.images // options.shards
    for shard in range(options.shards):
        with tarfile.open(folder / f"{shard:06}.tar", "w") as archive:
            for number in range(shard * each, (shard + 1) * each):
                put(archive, f"{number:08}.jpg", pictures[number % options.pictures])
                put(archive, f"{number:08}.cls", str(number % options.classes).encode())
    return sum(path.stat().st_size for path in folder.iterdir())


def opened(folder: Path) -> tuple[Samples, int]:
    """Training samples and the number of classes."""
    files = {INDEX: str(folder / "made.shards"), SUPPLY: str(folder / "links")}
    found = open_dataset(DatasetInput(kind="shards", name="made", files=files))
    return found.train, len(found.classes)


def seen(options: argparse.Namespace) -> Preprocessing:
    return Preprocessing((0.5,) * 3, (0.25,) * 3, (options.seen, options.seen), channels=3)


def network(classes: int, side: int) -> nn.Module:
    return build(Architecture(name="retort:resnet8", options={"width": 4}), classes, 3, (side, side))


def trained(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Resident MiB after every epoch and at most within it, images/s of the last."""
    samples, classes = opened(folder)
    loader = Loader(
        samples, range(len(samples)), options.batch, seen(options), augmentation="crop_flip", workers=options.workers
    )
    student = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, classes))  # the loader is measured
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    after, highest, rate = [], [], 0.0
    for epoch in range(options.epochs):
        begun, most = time.perf_counter(), Watched()
        with most:
            for batch in loader.epoch(epoch):
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(student(batch.student), batch.labels).backward()
                optimizer.step()
            after.append(memory())
        highest.append(most.most)
        rate = loader.batches_per_epoch * options.batch / (time.perf_counter() - begun)
        print(epoch, after[-1], file=sys.stderr, flush=True)
    loader.close()
    grown = {role: after[-1][role] / max(after[0][role], 1e-9) - 1 for role in after[0]}
    return {"images_per_second": rate, "mib_after": after, "mib_most": highest, "grown": grown}


def scored(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Peak MiB beyond what was held before, beside the budget; or what a budget that is too small is refused with."""
    samples, classes = opened(folder)
    picked = stratified_sample(samples.labels, options.scored[0] * classes, 0)
    found = {"samples": len(picked), "least_of_a_class": int(samples.labels[picked].bincount(minlength=classes).min())}
    loader = Loader(samples, picked, options.batch, seen(options), shuffle=False, drop_last=False)
    teacher = network(classes, options.seen).eval()
    layers = discover(teacher, torch.zeros(2, 3, options.seen, options.seen))
    before, begun, used, passes = resident("VmRSS"), time.perf_counter(), time.process_time(), list[int]()

    def batches() -> Iterator[Tensor]:
        passes.append(1)
        return (batch.student for batch in loader.epoch(0))

    reset_peak()
    try:
        curve = list(score(teacher, layers, batches, samples.labels[picked], len(samples), options.budget))
    except RetortError as error:
        return found | {"refused": error.to_dict()}
    return found | {
        "layers": len(curve), "pooled": sum(point.pooled for point in curve),
        "features": [math.prod(point.shape) for point in curve], "passes": len(passes) - 1,
        "budget_mib": options.budget / 2**20, "peak_mib": (resident("VmHWM") - before) / 2**20,
        "seconds": time.perf_counter() - begun, "processor_seconds": time.process_time() - used,
    }  # fmt: skip


def memory() -> dict[str, float]:
    """Resident MiB of this process, and of all its loader processes."""
    own = psutil.Process()
    workers = sum(child.memory_info().rss for child in own.children(recursive=True))
    return {"trainer": own.memory_info().rss / 2**20, "workers": workers / 2**20}


class Watched:
    """The most memory there is, looked at every 50 ms."""

    def __init__(self) -> None:
        self.most = memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.most = {
                role: max(most, now) for (role, most), now in zip(self.most.items(), memory().values(), strict=True)
            }


if __name__ == "__main__":
    main()
