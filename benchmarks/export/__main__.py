"""`python -m benchmarks.export [--train 6000] [--epochs 2] [--test 5000] [--out FILE]`: a ResNet, a MobileNet, a ViT
and the demo's student, each trained shortly on Fashion-MNIST and written in every format; accuracy and agreement of
each file beside torch's, and latency in its own runtime and in torch eager by turns, in one process with one number of
threads: on a machine that others use only a ratio of neighbours in time means something."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from distill import exports
from distill.control import Control
from distill.exports_table import exports_table
from distill.run import run
from distill.student import load_student
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec

VIT = {"img_size": 28, "patch_size": 4, "depth": 4}
STUDENTS = {
    "ResNet": Architecture(name="retort:resnet20", options={"width": 16}),
    "MobileNet": Architecture(name="retort:mobilenet_v2_small", options={"width": 16}),
    "ViT-tiny": Architecture(name="timm:vit_tiny_patch16_224", options=VIT),
    "the demo's student": Architecture(name="retort:resnet8", options={"width": 8}),
}
ROUNDS, ROUND_SECONDS = 30, 0.1
"""Turns of each runtime, and how long one lasts (at least one pass)."""
LIBRARIES = ("torch", "onnx", "onnxruntime", "openvino")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=6000, help="training samples")
    parser.add_argument("--test", type=int, default=5000, help="test samples")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--formats", nargs="+", default=list(exports.names()), choices=list(exports.names()))
    parser.add_argument("--out", type=Path, help="write the tables there too")
    return parser.parse_args()


def measured(student: Architecture, given: argparse.Namespace) -> dict[str, Any]:
    """exports.json of one student, with the medians of `by_turns` as each latency's `median_ms`."""
    config = DistillConfig(
        recipe="cross_entropy", epochs=given.epochs, batch_size=64, train_limit=given.train, test_limit=given.test,
        device="cpu", precision="fp32", fit_head=False, exports=given.formats,
    )  # fmt: skip
    spec = RunSpec(config=config, student=student, dataset=DatasetInput(kind="named", name="fashion-mnist"))
    with tempfile.TemporaryDirectory() as folder:
        for event in run(spec, Path(folder), Control()):
            if event.kind == "log":
                print(event.data["message"], flush=True)
        artifacts = Path(folder) / "artifacts"
        found: dict[str, Any] = json.loads((artifacts / "exports.json").read_text())
        timed(found, artifacts)
    return found


def timed(found: dict[str, Any], artifacts: Path) -> None:
    """Put the latencies of one measurement by turns in place of those that each file's own proof took."""
    student = load_student(artifacts / "student.safetensors").model.eval()
    passes: dict[str, Callable[[torch.Tensor], Any]] = {"torch": student}
    for entry in found["exports"]:
        exporter = exports.get(entry["format"])(**entry["parameters"])
        passes[entry["format"]] = exporter.open(artifacts / entry["files"][0]["name"], torch.get_num_threads())
    shape = found["exports"][0]["input"]["shape"][1:]
    for count in (1, 32):
        medians = by_turns(passes, torch.randn(count, *shape, generator=torch.Generator().manual_seed(0)))
        for entry in found["exports"]:
            entry["latency"][str(count)]["median_ms"] = medians[entry["format"]]
        found["torch"]["student"]["latency"][str(count)]["median_ms"] = medians["torch"]


@torch.inference_mode()
def by_turns(passes: dict[str, Callable[[torch.Tensor], Any]], given: torch.Tensor) -> dict[str, float]:
    """Median milliseconds of a pass over `ROUNDS` rounds, in each of which every runtime has a turn: its fastest pass
    of that turn counts, so that what others do to the machine falls on all alike."""
    best: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(ROUNDS + 1):
        for name, once in passes.items():
            fastest = _fastest(once, given)
            if turn:  # the first warms up
                best[name].append(fastest)
    return {name: 1e3 * statistics.median(times) for name, times in best.items()}


def _fastest(once: Callable[[torch.Tensor], Any], given: torch.Tensor) -> float:
    fastest, end = float("inf"), time.perf_counter() + ROUND_SECONDS
    while True:
        began = time.perf_counter()
        once(given)
        ended = time.perf_counter()
        fastest = min(fastest, ended - began)
        if ended >= end:
            return fastest


def gains(found: dict[str, Any]) -> str:
    """How many times faster than torch eager each file is at batch 1 and 32."""
    torchs = found["torch"]["student"]["latency"]
    lines = ["| | times faster, batch 1 | batch 32 |", "|---|---|---|"]
    for entry in found["exports"]:
        times = [torchs[n]["median_ms"] / entry["latency"][n]["median_ms"] for n in ("1", "32")]
        lines.append(f"| `{entry['format']}` | " + " | ".join(f"{each:.2f}" for each in times) + " |")
    return "\n".join(lines)


def heading(given: argparse.Namespace, program: str, timing: str) -> str:
    """When, of what and on what `program` measured. `timing`: a sentence on how times were taken."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine = f"{platform.machine()}, {processor()}, {torch.get_num_threads()} threads"
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    return (
        f"{when}, commit {commit or 'unknown'} by `python -m {program}`, {machine}, load {load} at "
        f"the start. {libraries}. Fashion-MNIST, {given.train} training images, {given.epochs} epochs, {given.test} "
        f"test images.{timing}"
    )


def processor() -> str:
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), "")


def main() -> None:
    given = parse()
    timing = (
        f" Seed 0. Milliseconds are medians over {ROUNDS} rounds of the fastest pass of a turn; in each round torch "
        "and every file have one turn after the other."
    )
    parts = ["# Exports\n", heading(given, "benchmarks.export", timing)]
    for name in given.students:
        began = time.monotonic()
        found = measured(STUDENTS[name], given)
        about = f"{STUDENTS[name].name} {json.dumps(STUDENTS[name].options)}"
        parts += [
            f"\n## {name}\n\n{about}; {time.monotonic() - began:.0f} s.\n",
            exports_table(found),
            "",
            gains(found),
        ]
        if given.out:
            given.out.write_text("\n".join(parts) + "\n")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
