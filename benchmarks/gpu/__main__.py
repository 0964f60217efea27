"""`python -m benchmarks.gpu [--device cpu --quick]`: every check of a GPU, one after the other, as one table.

Each part is a process of its own with a time limit, so that one that hangs or fails costs no other. What was found so
far is written after every part: to the screen, and to `--output` as Markdown.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

Found = Any  # a part's JSON
MIB = 2**20


@dataclass(frozen=True)
class Part:
    """`command`: of a module, with FILE where its JSON goes; `rows`: what of that is shown, as (what, value)."""

    title: str
    command: list[str]
    seconds: float
    rows: Callable[[Found], Iterator[tuple[str, str]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks and few steps: tries the check itself")
    parser.add_argument("--patience", type=float, default=1, help="times the time that each part is given")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("No CUDA device is visible. --device cpu --quick tries the check itself.")
    lines = [*_head(given.device)]
    print("\n".join(lines), flush=True)
    for part in parts(given.device, given.quick):
        found = _section(part, given.patience)
        lines += found
        print("\n".join(found), flush=True)
        if given.output:
            given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def parts(device: str, quick: bool) -> list[Part]:
    curve = ["--teachers", "retort:resnet8", "--samples", "40", "--side", "32"] if quick else []
    train = ["--width", "8", "--steps", "24"] if quick else ["--width", "64", "--steps", "200", "--warmup", "20"]
    slots = ["--width", "8", "--steps", "24"] if quick else []
    return [
        Part("Devices and masks", ["benchmarks.gpu.masks", "--json", "FILE"], 60, _masks),
        Part("Training", ["benchmarks.train", "--device", device, *train, "--modes", "--json", "FILE"], 150, _training),
        Part("Q curve", ["benchmarks.gpu.curve", "--device", device, *curve, "--json", "FILE"], 100, _curves),
        Part(
            "Two trainers on one device",
            ["benchmarks.gpu.slots", "--device", device, *slots, "--json", "FILE"],
            80,
            _slots,
        ),
        Part("Tests that need a GPU", ["pytest", "-q", "-m", "gpu", "tests/device", "tests/worker"], 90, _tests),
    ]


def _head(device: str) -> Iterator[str]:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    yield from (f"# {name}", "")
    versions = f"commit {commit.strip() or 'unknown'}, torch {torch.__version__}"
    yield f"{datetime.now(UTC):%Y-%m-%d}, {versions}, `scripts/gpu-check`."


def _section(part: Part, patience: float) -> list[str]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found.json")
        command = [str(file) if each == "FILE" else each for each in part.command]
        try:
            done = subprocess.run(
                [sys.executable, "-m", *command],
                capture_output=True,
                text=True,
                timeout=patience * part.seconds,
                check=False,
            )
            told = done.stdout + done.stderr
            rows = list(part.rows(json.loads(file.read_text()) if file.exists() else told))
            rows = rows if done.returncode == 0 else [("failed", _end_of(told)), *rows]
        except subprocess.TimeoutExpired:
            rows = [("failed", f"not done within {patience * part.seconds:.0f} s")]
        except (KeyError, TypeError, ValueError) as error:
            rows = [("failed", f"{type(error).__name__}: {_end_of(told)}")]
    table = [f"| {what} | {value} |" for what, value in rows]
    return ["", f"## {part.title}, {time.monotonic() - started:.0f} s", "", "| what | found |", "|---|---|", *table]


def _end_of(told: str) -> str:
    return " ".join(told.split())[-300:].replace("|", "/")


def _masks(found: Found) -> Iterator[tuple[str, str]]:
    for each in found:
        yield f"`CUDA_VISIBLE_DEVICES={each['CUDA_VISIBLE_DEVICES']}`", f"devices seen: {each['sees']}"


def _training(found: Found) -> Iterator[tuple[str, str]]:
    yield "networks", f"{found['teacher']} to {found['student']}, batch {found['batch_size']}"
    for name, value in found["images_per_second"].items():
        yield name, f"{value:,.0f} images/s {found['modes'].get(name, '')[:80]}"
    for name, value in found["by mode"].items():
        yield f"cached, {name}", value if isinstance(value, str) else f"{value:,.0f} images/s"
    yield from ((name, f"{value:.2f}") for name, value in found["aims"].items())


def _curves(found: Found) -> Iterator[tuple[str, str]]:
    for each in found:
        size = f"{each['layers']} layers, {each['samples']:,} samples"
        yield each["teacher"], f"{size}: {each['seconds']:.1f} s, one forward pass {each['one pass']:.1f} s"
        peak, allowed = each["peak_bytes"] / MIB, each["budget_bytes"] / MIB
        yield "peak memory of the device", f"{peak:,.0f} MiB of {allowed:,.0f} allowed"


def _slots(found: Found) -> Iterator[tuple[str, str]]:
    yield "one", f"{found['one']:,.0f} images/s"
    yield (
        "two together",
        " + ".join(f"{value:,.0f}" for value in found["two"]) + f" images/s, {found['two / one']:.2f} times one",
    )


def _tests(found: Found) -> Iterator[tuple[str, str]]:
    yield "pytest -m gpu", _end_of(str(found))[-120:]


if __name__ == "__main__":
    main()
