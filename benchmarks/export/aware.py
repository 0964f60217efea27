"""`python -m benchmarks.export.aware [--students NAME ...] [--seeds 0 1 2] [--train 6000] [--epochs 6] [--out FILE]`:
students with depthwise convolutions by `feature_only` on Fashion-MNIST, in int8 as calibrated and as trained with
rounding: one table a student."""

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
STUDENTS = {
    "MobileNetV2": Architecture(name="retort:mobilenet_v2_small", options={"width": 8}),
    "MobileNetV3": Architecture(name="timm:mobilenetv3_small_050"),
    "LCNet": Architecture(name="timm:lcnet_050"),
    "TinyNet": Architecture(name="timm:tinynet_e"),
}
KINDS = ("torch, fp32", "int8, calibrated", "int8, trained with rounding")
MUCH = 0.5
"""Points of test accuracy that an int8 file may lose (**our choice**)."""
DATA = DatasetInput(kind="named", name="fashion-mnist")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
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


def measured(
    given: argparse.Namespace, student: Architecture, seed: int, taught_by: TeacherInput, folder: Path
) -> list[float]:
    """Test accuracy in per cent: of the student in torch, of its int8 file as calibrated, and as trained with
    rounding."""
    aware = {"quantisation_aware": True, "quantisation_epochs": given.aware_epochs}
    wanted: list[Any] = [
        {"format": "onnx-int8", "max_drop": 1},
        {"format": "onnx-int8", "parameters": aware, "max_drop": 1},
    ]
    spec = RunSpec(
        config=config(given, recipe="feature_only", seed=seed, exports=wanted), student=student, dataset=DATA,
        teacher=taught_by,
    )  # fmt: skip
    found = json.loads((ran(spec, folder) / "exports.json").read_text())
    assert not found["failed"], found["failed"]
    return [100 * each["figure"]["value"] for each in (found["torch"]["student"], *found["exports"])]


def table(rows: Sequence[Sequence[float]], seeds: Sequence[int]) -> str:
    """Of one student; `rows` as `measured` gives them, one a seed."""
    lines = ["| student | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | lost, points |"]
    lines.append("|---" * (len(seeds) + 3) + "|")
    torchs, *files = zip(*rows, strict=True)
    for name, values in zip(KINDS, (torchs, *files), strict=True):
        lost = lost_by(torchs, values)
        spread = f" ± {statistics.stdev(lost):.2f}" if len(lost) > 1 and values is not torchs else ""
        cells = [f"{value:.2f}" for value in values] + [f"{statistics.mean(values):.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {statistics.mean(lost):.2f}{spread} |")
    return "\n".join(lines)


def lost_by(torchs: Sequence[float], values: Sequence[float]) -> list[float]:
    return [was - now for was, now in zip(torchs, values, strict=True)]


def verdict(found: dict[str, list[list[float]]]) -> str:
    """Which students lose more than `MUCH` points as calibrated, in the mean over their seeds, and what rounding in
    training gives back of it."""
    told = []
    for name, rows in found.items():
        torchs, plain, aware = zip(*rows, strict=True)
        before, after = (statistics.mean(lost_by(torchs, values)) for values in (plain, aware))
        if before > MUCH:
            told.append(f"{name} loses {before:.2f} points as calibrated and {after:.2f} as trained with rounding.")
    return " ".join(told) or f"No student tried loses more than {MUCH} points as calibrated."


def page(given: argparse.Namespace, about: str, found: dict[str, list[list[float]]]) -> str:
    parts = ["# int8 with and without training with rounding\n", about]
    parts.append(
        f"\nImages of {given.image_size} pixels a side, {given.epochs} epochs by `feature_only` from {TEACHER.name}, "
        f"then {given.aware_epochs} epochs with rounding at a tenth of the peak rate. Test accuracy in per cent; ± is "
        f"the sample deviation over the seeds.\n\n{verdict(found)}\n"
    )
    for name, rows in found.items():
        student = STUDENTS[name]
        parts.append(f"## {name}\n\n{student.name} {json.dumps(student.options)}\n")
        parts.append(table(rows, given.seeds[: len(rows)]) + "\n")
    return "\n".join(parts)


def main() -> None:
    given, found = parse(), dict[str, list[list[float]]]()
    about = heading(given, "benchmarks.export.aware", "")
    with tempfile.TemporaryDirectory() as folder:
        taught_by = teacher(given, Path(folder) / "teacher")
        for name in given.students:
            for seed in given.seeds:
                own = Path(folder) / name / str(seed)
                found.setdefault(name, []).append(measured(given, STUDENTS[name], seed, taught_by, own))
                print(text := page(given, about, found), flush=True)
                if given.out:
                    given.out.write_text(text)


if __name__ == "__main__":
    main()
