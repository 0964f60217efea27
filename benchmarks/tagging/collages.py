"""Multi-label distillation on collages of Fashion-MNIST: a teacher, then students by labels and by the teacher.

    python -m benchmarks.tagging.collages --folder FOLDER --markdown benchmarks/results/tagging-collages.md

A picture is a grid of 2 x 2 places of 14 x 14 pixels; each holds a picture of Fashion-MNIST (Debian's
dataset-fashion-mnist), halved, or with a chance of 30 % nothing. Its labels are the classes of what is in it, at most
four and sometimes none. Training pictures come from the training images alone, test pictures from the test images.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import statistics
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from distill.control import Control
from distill.modalities.images.sets import get
from distill.run import run
from distill.types import Architecture, ComparisonInput, DatasetInput, DistillConfig, RunSpec, TeacherInput

EMPTY = 0.3
TEACHER = Architecture(name="retort:resnet20", options={"width": 16})
STUDENT = Architecture(name="retort:resnet8", options={"width": 8})
ARMS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"recipe": "cross_entropy"},
    "logit": {"recipe": "logit"},
    "logit, T = 1": {"recipe": "logit", "recipe_parameters": {"temperature": 1.0}},
    "feature_only": {"recipe": "feature_only"},
}
FIGURES = ("mean_average_precision", "micro_f1", "macro_f1", "subset_accuracy")
COMMON: dict[str, Any] = {
    "device": "cpu", "precision": "fp32", "compile": False, "batch_size": 64, "quality_samples": 500,
}  # fmt: skip


def collages(split: str, count: int, seed: int) -> tuple[list[bytes], list[list[str]]]:
    """PNG files and their labels."""
    found, random = get("fashion-mnist")(), np.random.default_rng(seed)
    pixels, labels = found.splits[split]
    images, names = [], []
    for _ in range(count):
        canvas, has = np.zeros((28, 28), np.uint8), set()
        for place in range(4):
            if random.random() < EMPTY:
                continue
            chosen = int(random.integers(len(pixels)))
            y, x = 14 * (place // 2), 14 * (place % 2)
            canvas[y : y + 14, x : x + 14] = pixels[chosen].reshape(14, 2, 14, 2).mean((1, 3)).round()
            has.add(found.classes[int(labels[chosen])])
        out = io.BytesIO()
        Image.fromarray(canvas).save(out, "PNG")
        images.append(out.getvalue())
        names.append(sorted(has))
    return images, names


def dataset(folder: Path, train: int, test: int) -> DatasetInput:
    files = {}
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, names = collages(split, count, seed)
        struct = [{"bytes": each, "path": None} for each in images]
        pq.write_table(pa.table({"image": struct, "labels": names}), folder / f"{split}.parquet")
        files[split] = str(folder / f"{split}.parquet")
    return DatasetInput(kind="parquet", name="collages", files=files)


def trained(spec: RunSpec, folder: Path) -> dict[str, Any]:
    """The report of the run; one that is there already is not repeated."""
    report = folder / "artifacts" / "report.json"
    if not report.exists():
        for event in run(spec, folder, Control()):
            assert event.kind != "error", event.data
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--teacher-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    data = dataset(given.folder, given.train, given.test)
    labels = DistillConfig(recipe="cross_entropy", epochs=given.teacher_epochs, **COMMON)
    teacher = trained(RunSpec(config=labels, student=TEACHER, dataset=data), given.folder / "teacher")
    path = given.folder / "teacher" / "artifacts" / "student.safetensors"
    given_teacher = TeacherInput(
        architecture=TEACHER, weights=str(path), num_classes=10, digest=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    reports: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        for arm, settings in ARMS.items():
            config = DistillConfig(epochs=given.epochs, seed=seed, **settings, **COMMON)
            baseline = given.folder / f"cross_entropy-{seed}" / "artifacts" / "student.safetensors"
            against = ComparisonInput(
                architecture=STUDENT, weights=str(baseline), recipe="cross_entropy", label="cross_entropy"
            )
            spec = RunSpec(
                config=config, student=STUDENT, dataset=data, teacher=given_teacher,
                comparison=None if arm == "cross_entropy" else against,
            )  # fmt: skip
            reports[arm].append(trained(spec, given.folder / f"{arm}-{seed}"))
    text = table(teacher, reports, given)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


def table(teacher: dict[str, Any], reports: dict[str, list[dict[str, Any]]], given: argparse.Namespace) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    used = resource.getrusage(resource.RUSAGE_SELF)
    about, seconds = teacher["student"], [r["training"]["seconds"] for rs in reports.values() for r in rs]
    head = [
        "# Multi-label distillation on collages of Fashion-MNIST",
        "",
        f"`python -m benchmarks.tagging.collages` at commit {commit.stdout.strip()}: {given.train:,} training and "
        f"{given.test:,} test collages of up to four articles (seeds 0 and 1), 10 classes, "
        f"{teacher['dataset']['labels_per_image']:.2f} labels an image, 28 x 28 grey pixels.",
        f"Teacher {TEACHER.name}, width {TEACHER.options['width']} ({about['parameters']:,} parameters, seed 0, "
        f"{given.teacher_epochs} epochs); students {STUDENT.name}, width {STUDENT.options['width']} "
        f"({reports['logit'][0]['student']['parameters']:,} parameters), {given.epochs} epochs, seeds 0 to "
        f"{given.seeds - 1}. One CPU thread; {used.ru_utime + used.ru_stime:.0f} s of CPU in all, a median of "
        f"{statistics.median(seconds):.0f} s a student's training.",
        "",
        "Per cent on the test collages: the mean over seeds and, in brackets, lowest and highest. The last column: "
        "mean average precision less that of `cross_entropy` of the same seed, in points, and of how many seeds its "
        "95 % bootstrap interval, paired by image, excludes 0.",
        "",
        "| network | mean average precision | micro F1 | macro F1 | subset accuracy | less `cross_entropy` |",
        "|---|---|---|---|---|---|",
        f"| guessing | {100 * about['chance']:.2f} | | | | |",
        "| teacher | " + " | ".join(f"{100 * about[name]['value']:.2f}" for name in FIGURES) + " | |",
    ]
    return "\n".join([*head, *(row(arm, found) for arm, found in reports.items())]) + "\n"


def row(arm: str, found: list[dict[str, Any]]) -> str:
    cells = []
    for name in FIGURES:
        values = [100 * report["student"][name]["value"] for report in found]
        cells.append(f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    gaps = [report["verdict"]["difference"] for report in found]
    if all(gaps):
        values = [100 * gap["value"] for gap in gaps]
        cells.append(f"{statistics.mean(values):+.2f}; {sum(gap['clear'] for gap in gaps)} of {len(gaps)}")
    else:
        cells.append("")
    return f"| {arm} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
