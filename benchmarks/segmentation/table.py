"""The table of a study of masks: figures by arm, differences to the baseline of the same seed, IoU by class."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.segmentation.jobs import Service

Arms = dict[str, dict[int, Any]]
"""Finished jobs by arm and seed."""


def table(service: Service, arms: Arms, baseline: str) -> str:
    teacher = next(
        (job["result"]["teacher"] for jobs in arms.values() for job in jobs.values() if job["teacher"]), None
    )
    columns = ([("teacher", [teacher])] if teacher else []) + [
        (arm, [job["result"]["student"] for job in jobs.values()]) for arm, jobs in arms.items()
    ]
    some = next(iter(next(iter(arms.values())).values()))
    names = service.get(f"/datasets/{some['dataset']}")["report"]["classes"]
    lines = [
        "# CamVid, through the API",
        "",
        about(some, teacher),
        "",
        "| network | seeds | mean IoU, % | sd | over labels alone, points | pixel accuracy, % | agreement, % | "
        "training, s | each seed's mean IoU, % |",
        "|---|---|---|---|---|---|---|---|---|",
        *([f"| teacher | - | {_percent(teacher, 'mean_iou'):.2f} | - | - | {_percent(teacher, 'pixel_accuracy'):.2f} "
           "| - | - | - |"] if teacher else []),
        *(_row(arm, jobs, arms.get(baseline, {}) if arm != baseline else {}) for arm, jobs in arms.items()),
        "",
        "IoU by class, mean over these seeds, %:",
        "",
        f"| class | {' | '.join(name for name, _ in columns)} |",
        "|---|" + "---|" * len(columns),
    ]  # fmt: skip
    by_class = [_mean_ious([each["confusion"] for each in each_of]) for _, each_of in columns]
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in zip(names, zip(*by_class, strict=True), strict=True)]
    return "\n".join([*lines, ""])


def about(some: Any, teacher: Any | None) -> str:
    """What the jobs have in common."""
    student, config, data = some["result"]["student"], some["config"], some["result"]["dataset"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    options = student["architecture"]["options"]
    taught = "No teacher yet." if teacher is None else (
        f"Teacher: `benchmarks/segmentation/teacher.py`, FPN on {teacher['architecture']['options']['backbone']}, "
        f"{teacher['parameters']:,} parameters, trained outside, registered by `POST /teachers` and scored by the jobs."
    )  # fmt: skip
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, table of commit {commit} by `python -m benchmarks.segmentation.camvid`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others, one thread a job. {data['train']} training, "
        f"{data['validation']} validation and {data['test']} test images of 480 x 360, seen as "
        f"{config['image_size']} x {config['image_size']} and scored at their own size; 11 classes, void left out. "
        f"{taught} Student: FPN on {options['backbone']}, {student['parameters']:,} parameters, random at first, "
        f"{some['progress']['total_steps']} steps of {config['batch_size']} in {config['precision']}, "
        f"`{config['augmentation']}`, the default learning rate. The final network, no best epoch. Mean and sample "
        "deviation over seeds; differences are of the same seed. Published on these splits: SegNet 55.6, ENet 51.3."
    )


def _row(arm: str, jobs: dict[int, Any], baseline: dict[int, Any]) -> str:
    students = {seed: job["result"]["student"] for seed, job in jobs.items()}
    values = {seed: _percent(student, "mean_iou") for seed, student in students.items()}
    others = {seed: _percent(job["result"]["student"], "mean_iou") for seed, job in baseline.items()}
    leads = [values[seed] - others[seed] for seed in values if seed in others]
    pixels = [_percent(student, "pixel_accuracy") for student in students.values()]
    agreed = [_percent(student, "agreement") for student in students.values() if student.get("agreement")]
    seconds = [job["result"]["training"]["seconds"] for job in jobs.values()]
    cells = [
        f"student, {arm}", ", ".join(map(str, values)), f"{statistics.mean(values.values()):.2f}",
        _deviation(list(values.values())), f"{statistics.mean(leads):+.2f} ± {_deviation(leads)}" if leads else "-",
        f"{statistics.mean(pixels):.2f}", f"{statistics.mean(agreed):.2f}" if agreed else "-",
        f"{statistics.mean(seconds):.0f}", ", ".join(f"{value:.2f}" for value in values.values()),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _percent(figures: Any, key: str) -> float:
    return float(100 * figures[key]["value"])


def _deviation(values: Sequence[float]) -> str:
    return f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"


def _mean_ious(confusions: list[list[list[int]]]) -> list[str]:
    """IoU of each class in %, the mean over networks."""
    by_network = [_ious(confusion) for confusion in confusions]
    return [f"{statistics.mean(column):.1f}" for column in zip(*by_network, strict=True)]


def _ious(confusion: list[list[int]]) -> list[float]:
    """IoU of each class in %, from pixels by class of the mask (rows) and of the network (columns)."""
    columns = list(zip(*confusion, strict=True))
    unions = [sum(row) + sum(columns[c]) - row[c] for c, row in enumerate(confusion)]
    return [100 * row[c] / max(1, unions[c]) for c, row in enumerate(confusion)]
