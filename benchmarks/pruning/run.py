"""Students cut out of their teacher against the same networks from random weights: `python -m benchmarks.pruning.run
FOLDER [--ratio 0.5] [--epochs 3] [--start fresh magnitude]`. Fashion-MNIST, a part of it, on one thread; one line of
JSON a run, and the table at the end. Runs that FOLDER has already are not repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from distill.control import Control
from distill.models import settled
from distill.pruned import architecture_of
from distill.run import run
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec, StartInput, TeacherInput

DATA = DatasetInput(kind="named", name="fashion-mnist")
TEACHER = Architecture(name="retort:resnet9", options={"width": 16})
COMMON: dict[str, Any] = {"batch_size": 128, "test_limit": 2000, "device": "cpu", "precision": "fp32"}
RATIOS, SEEDS, EPOCHS = (0.5, 0.75), (0, 1, 2), (1, 3)
STARTS = ("fresh", "magnitude", "bn_scale")


def main(folder: Path, ratios: Sequence[float], lengths: Sequence[int], starts: Sequence[str]) -> None:
    torch.set_num_threads(1)
    _run(
        folder / "teacher",
        RunSpec(config=_config(recipe="cross_entropy", epochs=4, train_limit=20_000), student=TEACHER, dataset=DATA),
    )
    weights = folder / "teacher/artifacts/student.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    teacher = TeacherInput(architecture=TEACHER, weights=str(weights), num_classes=10, digest=digest)
    found: dict[tuple[float, int, str], list[float]] = {}
    for ratio in ratios:
        student = settled(architecture_of(TEACHER, ratio), 1, (28, 28))
        for epochs in lengths:
            for seed in SEEDS:
                for importance in starts:
                    start = None
                    if importance != "fresh":
                        start = StartInput(
                            label="the teacher",
                            architecture=TEACHER,
                            weights=str(weights),
                            digest=digest,
                            importance=importance,
                        )  # type: ignore[arg-type]
                    config = _config(recipe="logit", epochs=epochs, seed=seed, train_limit=5000)
                    given = RunSpec(config=config, student=student, dataset=DATA, teacher=teacher, start=start)
                    report = _run(folder / f"{ratio}-{epochs}-{seed}-{importance}", given)
                    value = report["student"]["accuracy"]["value"]
                    found.setdefault((ratio, epochs, importance), []).append(value)
                    print(
                        json.dumps([ratio, epochs, seed, importance, value, report["student"]["parameters"]]),
                        flush=True,
                    )
    for (ratio, epochs, importance), values in found.items():
        print(
            f"| {ratio} | {epochs} | {importance} | {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} |",
            flush=True,
        )


def _config(**changes: Any) -> DistillConfig:
    return DistillConfig(**(COMMON | changes))


def _run(folder: Path, given: RunSpec) -> dict[str, Any]:
    if not (folder / "artifacts/report.json").exists():
        for event in run(given, folder, Control()):
            if event.kind == "failed":
                raise RuntimeError(event.data)
    report: dict[str, Any] = json.loads((folder / "artifacts/report.json").read_text())
    return report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning.run", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ratio", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--epochs", type=int, nargs="+", default=EPOCHS)
    parser.add_argument("--start", nargs="+", choices=STARTS, default=STARTS)
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    main(asked.folder, asked.ratio, asked.epochs, asked.start)
