"""`python -m benchmarks.export [--train 6000] [--epochs 2] [--test 5000] [--out FILE]`: a ResNet, a MobileNet, a ViT,
each trained shortly on Fashion-MNIST and written in every format; accuracy, agreement and latency of each file in its
own runtime beside torch eager, in one process with one number of threads."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from distill import exports
from distill.control import Control
from distill.exports_table import exports_table
from distill.run import run
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec

VIT = {"img_size": 28, "patch_size": 4, "depth": 4}
STUDENTS = {
    "ResNet": Architecture(name="retort:resnet20", options={"width": 16}),
    "MobileNet": Architecture(name="retort:mobilenet_v2_small", options={"width": 16}),
    "ViT-tiny": Architecture(name="timm:vit_tiny_patch16_224", options=VIT),
}
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
    """exports.json of one student."""
    config = DistillConfig(
        recipe="cross_entropy", epochs=given.epochs, batch_size=64, train_limit=given.train, test_limit=given.test,
        device="cpu", precision="fp32", fit_head=False, exports=given.formats,
    )  # fmt: skip
    spec = RunSpec(config=config, student=student, dataset=DatasetInput(kind="named", name="fashion-mnist"))
    with tempfile.TemporaryDirectory() as folder:
        for event in run(spec, Path(folder), Control()):
            if event.kind == "log":
                print(event.data["message"], flush=True)
        found: dict[str, Any] = json.loads((Path(folder) / "artifacts" / "exports.json").read_text())
    return found


def gains(found: dict[str, Any]) -> str:
    """How many times faster than torch eager each file is at batch 1 and 32."""
    torchs = found["torch"]["student"]["latency"]
    lines = ["| | times faster, batch 1 | batch 32 |", "|---|---|---|"]
    for entry in found["exports"]:
        times = [torchs[n]["median_ms"] / entry["latency"][n]["median_ms"] for n in ("1", "32")]
        lines.append(f"| `{entry['format']}` | " + " | ".join(f"{each:.2f}" for each in times) + " |")
    return "\n".join(lines)


def heading(given: argparse.Namespace) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine = f"{platform.machine()}, {processor()}, {torch.get_num_threads()} threads"
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    return (
        f"{when}, commit {commit or 'unknown'}, {machine}, load {load} at the start. {libraries}. Fashion-MNIST, "
        f"{given.train} training images, {given.epochs} epochs, {given.test} test images, seed 0."
    )


def processor() -> str:
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), "")


def main() -> None:
    given = parse()
    parts = ["# Exports\n", heading(given)]
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
