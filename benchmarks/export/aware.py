"""`python -m benchmarks.export.aware [--seeds 0 1 2] [--train 6000] [--epochs 6] [--out FILE]`: a MobileNet by
`feature_only` on Fashion-MNIST, in int8 as calibrated and as trained with rounding."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.export.__main__ import heading
from distill.control import Control
from distill.run import run
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec, TeacherInput

TEACHER = Architecture(name="retort:resnet8", options={"width": 16})
STUDENT = Architecture(name="retort:mobilenet_v2_small", options={"width": 8})
DATA = DatasetInput(kind="named", name="fashion-mnist")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=6000, help="training samples")
    parser.add_argument("--test", type=int, default=5000, help="test samples")
    parser.add_argument("--epochs", type=int, default=6, help="of the distillation")
    parser.add_argument("--image-size", type=int, default=14, help="pixels a side")
    parser.add_argument("--aware-epochs", type=int, default=3, help="of the training with rounding")
    parser.add_argument("--out", type=Path, help="write the table there too")
    return parser.parse_args()


def config(given: argparse.Namespace, **changes: Any) -> DistillConfig:
    base: dict[str, Any] = {
        "batch_size": 64, "train_limit": given.train, "test_limit": given.test, "device": "cpu", "precision": "fp32",
        "quality_samples": 500, "epochs": given.epochs, "image_size": given.image_size,
    }  # fmt: skip
    return DistillConfig(**(base | changes))


def ran(spec: RunSpec, folder: Path) -> Path:
    for event in run(spec, folder, Control()):
        if event.kind == "log":
            print(event.data["message"], flush=True)
    return folder / "artifacts"


def teacher(given: argparse.Namespace, folder: Path) -> TeacherInput:
    """Trained on the labels alone."""
    spec = RunSpec(config=config(given, recipe="cross_entropy"), student=TEACHER, dataset=DATA)
    weights = ran(spec, folder) / "student.safetensors"
    return TeacherInput(architecture=TEACHER, weights=str(weights), num_classes=10, digest="")


def measured(given: argparse.Namespace, seed: int, taught_by: TeacherInput, folder: Path) -> list[dict[str, Any]]:
    """The entries of exports.json, and that of the student in torch before them."""
    aware = {"quantisation_aware": True, "quantisation_epochs": given.aware_epochs}
    wanted: list[Any] = [
        {"format": "onnx-int8", "max_drop": 1},
        {"format": "onnx-int8", "parameters": aware, "max_drop": 1},
    ]
    spec = RunSpec(
        config=config(given, recipe="feature_only", seed=seed, exports=wanted), student=STUDENT, dataset=DATA,
        teacher=taught_by,
    )  # fmt: skip
    found = json.loads((ran(spec, folder) / "exports.json").read_text())
    assert not found["failed"], found["failed"]
    return [found["torch"]["student"], *found["exports"]]


def table(rows: Sequence[Sequence[dict[str, Any]]], seeds: Sequence[int]) -> str:
    lines = ["| student | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | lost, points |"]
    lines.append("|---" * (len(seeds) + 3) + "|")
    kinds = zip(
        ("torch, fp32", "int8, calibrated", "int8, trained with rounding"), zip(*rows, strict=True), strict=True
    )
    torchs: list[float] = []
    for name, entries in kinds:
        values = [100 * each["figure"]["value"] for each in entries]
        torchs = torchs or values
        lost = [was - now for was, now in zip(torchs, values, strict=True)]
        spread = f" ± {statistics.stdev(lost):.2f}" if len(lost) > 1 and name != "torch, fp32" else ""
        cells = [f"{value:.2f}" for value in values] + [f"{statistics.mean(values):.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {statistics.mean(lost):.2f}{spread} |")
    return "\n".join(lines)


def main() -> None:
    given = parse()
    parts, rows = ["# int8 with and without training with rounding\n", heading(given)], list[Any]()
    parts.append(
        f"\nImages of {given.image_size} pixels a side, {given.epochs} epochs. {STUDENT.name} "
        f"{json.dumps(STUDENT.options)} by `feature_only` from {TEACHER.name}, then "
        f"{given.aware_epochs} epochs with rounding at a tenth of the peak rate. Test accuracy in per cent; ± is the "
        "sample deviation over the seeds.\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        taught_by = teacher(given, Path(folder) / "teacher")
        for seed in given.seeds:
            rows.append(measured(given, seed, taught_by, Path(folder) / str(seed)))
            text = "\n".join([*parts, table(rows, given.seeds[: len(rows)])]) + "\n"
            print(text, flush=True)
            if given.out:
                given.out.write_text(text)


if __name__ == "__main__":
    main()
