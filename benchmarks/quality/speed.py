"""How fast one layer's Q is.  python -m benchmarks.quality.speed [--quick] [--device cuda] [--output FILE.md]

For each N and D, on the same features and in the same run: our time, the time of a row-loop implementation of the same
definition (`row_loop.py`; up to `--loop-values` features), the time of the bare float32 product
F F^T, and their ratios. Best of a few repetitions; the row loop once. `--cpu-time` takes one thread and the processor
time it used instead of the wall clock: what other programs on the machine do then hardly matters.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.quality.row_loop import row_loop
from distill.quality import knowledge_quality

CLASSES, TRAIN_SIZE = 10, 50_000
SIZES = [(n, d) for n in (1000, 5000) for d in (512, 4096, 16_384, 65_536)]
QUICK = [(1000, 512), (1000, 4096)]
ROW_LOOP_LIMIT = 1000 * 16_384  # values; the row loop takes 10 minutes at 1,000 x 65,536 and hours at 5,000
TARGETS = "Aims: at most 3 times the bare product for D >= 4,096; at least 100 times the row loop's speed at N = 1,000."


@dataclass(frozen=True)
class Row:
    """Seconds of one size; `loop` None where the row loop was not run."""

    samples: int
    dims: int
    ours: float
    bare: float
    loop: float | None

    def cells(self) -> list[str]:
        loop = "not run" if self.loop is None else f"{self.loop:.2f} s"
        faster = "" if self.loop is None else f"{self.loop / self.ours:,.0f} x"
        sizes = [f"{self.samples:,}", f"{self.dims:,}"]
        return [*sizes, f"{self.ours:.3f} s", f"{self.bare:.3f} s", loop, f"{self.ours / self.bare:.2f}", faster]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small sizes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--loop-values", type=int, default=ROW_LOOP_LIMIT, help="largest N x D for the row loop")
    parser.add_argument("--output", type=Path, help="write a Markdown report")
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device(arguments.device)
    if arguments.cpu_time:
        torch.set_num_threads(1)
        CLOCK.now = time.process_time
    facts = header(device)  # once, before the run: the commit and load that were measured
    print(facts)
    print(line(HEADINGS))
    rows = []
    for samples, dims in QUICK if arguments.quick else SIZES:
        rows.append(measure(samples, dims, device, samples * dims <= arguments.loop_values))
        print(line(rows[-1].cells()), flush=True)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(report(rows, device, facts), encoding="utf-8")


class Clock:
    """The clock that is read; wall clock unless `--cpu-time`."""

    now: Callable[[], float] = staticmethod(time.perf_counter)


CLOCK = Clock()
HEADINGS = ["N", "D", "ours", "bare F F^T", "row loop", "ours / bare", "faster than the loop"]


def measure(samples: int, dims: int, device: torch.device, with_loop: bool) -> Row:
    features, labels = make(samples, dims, device)
    repetitions = 7 if samples * dims < 10**8 else 2
    works = (lambda: features @ features.T, lambda: knowledge_quality(features, labels, TRAIN_SIZE))
    bare, ours = best(works, repetitions, device)
    loop = None
    if with_loop:
        loop = checked_loop(features, labels)
    return Row(samples, dims, ours, bare, loop)


def make(samples: int, dims: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """ReLU features with class means: like those of a trained network."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % CLASSES
    means = torch.randn(CLASSES, dims, generator=generator)
    features = torch.randn(samples, dims, generator=generator).add_(means[labels], alpha=0.5).relu_()
    return features.to(device), labels


def best(works: Sequence[Callable[[], object]], repetitions: int, device: torch.device) -> list[float]:
    """Least seconds of each, taken in turns so that a busy moment hits all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repetitions):
        for work, taken in zip(works, times, strict=True):
            synchronise(device)
            start = CLOCK.now()
            work()
            synchronise(device)
            taken.append(CLOCK.now() - start)
    return [min(taken) for taken in times]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def checked_loop(features: Tensor, labels: Tensor) -> float:
    """Seconds of the row loop (float32, as the features are), which must find the same Q."""
    ours = knowledge_quality(features, labels, TRAIN_SIZE).quality
    array, classes = features.cpu().numpy(), labels.numpy()
    start = CLOCK.now()
    theirs = row_loop(array, classes, TRAIN_SIZE, array.dtype.type)["quality"]
    seconds = CLOCK.now() - start
    if abs(theirs - ours) > 1e-3 * abs(ours):
        raise SystemExit(f"The row loop finds Q = {theirs}, we find {ours}.")
    return seconds


def header(device: torch.device) -> str:
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    facts = [str(datetime.now(UTC).date()), f"commit {commit}", machine + threads, f"torch {torch.__version__}"]
    facts += ["processor time" if CLOCK.now is time.process_time else "wall clock"]
    facts += [f"load average {os.getloadavg()[0]:.1f}", f"{CLASSES} classes", "float32 features"]
    return ", ".join(facts)


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def report(rows: list[Row], device: torch.device, facts: str) -> str:
    rule = "|" + "---:|" * len(HEADINGS)
    table = "\n".join([line(HEADINGS), rule, *(line(row.cells()) for row in rows)])
    option = " --cpu-time" if CLOCK.now is time.process_time else f" --device {device.type}"
    command = f"python -m benchmarks.quality.speed{option} --output <this file>"
    return f"# Speed of the Q metric, one layer\n\n{facts}\n\n`{command}`\n\n{table}\n\n{TARGETS}\n"


if __name__ == "__main__":
    main()
