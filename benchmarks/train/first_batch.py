"""Whether a job's first batch waits longer where its dataset has more shards: `python -m benchmarks.train.first_batch`.

Shards of `--each` small JPEGs in a bucket of a real S3 server (SeaweedFS). Of the first 20, 100 and 400 (`--counts`,
each more than a window) a job opens the dataset by its index and takes one batch, with an empty cache and without
loader processes; this process is its worker and supplies the shards. `--rounds` rounds take the counts in turn, each
time in another order. Seconds by the clock and of the processor: of opening, of making the loader, of the first batch,
and of the supplying process. Prints one JSON object with the medians; aim: they do not grow with the shards.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.train.shards_memory import Registered, make, opened, stored
from distill.data.windows import WINDOW
from distill.modalities.images import Loader
from distill.modalities.images.preprocessing import Preprocessing

PICTURES = 500
"""Different ones."""
SEEN = Preprocessing((0.5,) * 3, (0.25,) * 3, (32, 32), channels=3)
STEPS = ("open", "loader", "batch", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument("--each", type=int, default=50, help="pictures a shard")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--of", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.of is not None:
        print(json.dumps(first(Path(options.of), options.batch)))
        return
    with TemporaryDirectory(prefix="retort-first-") as folder:
        print(json.dumps(measured(Path(folder), options), indent=2))


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Medians by number of shards."""
    options.shards, options.images = max(options.counts), max(options.counts) * options.each
    options.pictures = PICTURES
    make(folder / "shards", options)
    files = sorted((folder / "shards").iterdir())
    room = 2 * WINDOW * max(path.stat().st_size for path in files)
    found: dict[int, dict[str, list[float]]] = {count: defaultdict(list) for count in options.counts}
    with stored(folder, files, room) as settings:
        registered = {count: Registered(folder / f"of-{count}", settings, count) for count in options.counts}
        for number in range(options.rounds):
            for count in random.Random(number).sample(options.counts, len(options.counts)):
                for name, value in taken(registered[count], options.batch).items():
                    found[count][name].append(value)
                print(number, count, found[count]["all"][-1], file=sys.stderr, flush=True)
    medians = {
        count: {name: [round(of(values), 4) for of in (median, min, max)] for name, values in by_name.items()}
        for count, by_name in found.items()
    }
    return vars(options) | {"torch": torch.__version__, "window": WINDOW, "median_least_most": medians}


def taken(registered: Registered, batch: int) -> dict[str, float]:
    """What one job needs, from an empty cache."""
    found, used = registered.run("benchmarks.train.first_batch", f"--batch={batch}", "--of")
    return found | {"supplier_processor": used}


def first(folder: Path, batch: int) -> dict[str, float]:
    """Seconds of the steps to a first batch, and of the processor for them."""
    clocks = [(time.perf_counter(), time.process_time())]
    samples, _ = opened(folder)
    clocks.append((time.perf_counter(), time.process_time()))
    loader = Loader(samples, range(len(samples)), batch, SEEN, augmentation="crop_flip")
    batches = loader.epoch(0)
    clocks.append((time.perf_counter(), time.process_time()))
    next(batches)
    clocks.append((time.perf_counter(), time.process_time()))
    batches.close()  # type: ignore[attr-defined]  # a generator
    loader.close()
    parts = [*pairwise(clocks), (clocks[0], clocks[-1])]
    return {
        f"{step}{kind}": after[i] - before[i]
        for step, (before, after) in zip(STEPS, parts, strict=True)
        for i, kind in enumerate(("", "_processor"))
    }


if __name__ == "__main__":
    main()
