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
"""Finished jobs, or their reports, by arm and seed."""


def table(service: Service, arms: Arms, baseline: str) -> str:
    """Markdown."""
    reports = {arm: {seed: service.report(job["id"]) for seed, job in jobs.items()} for arm, jobs in arms.items()}
    every = [report for by_seed in reports.values() for report in by_seed.values()]
    teacher = next((report["teacher"] for report in every if report["teacher"]), None)
    steps = next(job["progress"]["total_steps"] for jobs in arms.values() for job in jobs.values())
    lines = [
        "# CamVid, through the API",
        "",
        about(every[0], teacher, steps),
        "",
        "| network | seeds | mean IoU, % | sd | over labels alone, points | pixel accuracy, % | agreement, % | "
        "training, s | each seed's mean IoU, % |",
        "|---|---|---|---|---|---|---|---|---|",
        *([_teacher_row(teacher)] if teacher else []),
        *(_row(arm, each, reports.get(baseline, {}) if arm != baseline else {}) for arm, each in reports.items()),
        "",
        "IoU by class, mean over these seeds, %:",
        "",
        *_by_class(teacher, reports),
    ]
    return "\n".join([*lines, ""])


def _by_class(teacher: Any | None, reports: Arms) -> list[str]:
    columns = {"teacher": [teacher]} if teacher else {}
    columns |= {arm: [report["student"] for report in each.values()] for arm, each in reports.items()}
    names = next(iter(columns.values()))[0]["per_class"]
    rows = [[name, *(_iou(networks, name) for networks in columns.values())] for name in names]
    return [
        f"| class | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {' | '.join(r)} |" for r in rows),
    ]


def _iou(networks: Sequence[Any], name: str) -> str:
    values = [each["per_class"][name]["value"] for each in networks]
    return "-" if None in values else f"{100 * statistics.mean(values):.1f}"


def about(some: Any, teacher: Any | None, steps: int) -> str:
    """What the jobs have in common."""
    student, config, data = some["student"], some["configuration"], some["dataset"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    taught = "No teacher yet." if teacher is None else (
        f"Teacher: `benchmarks/segmentation/teacher.py`, FPN on {teacher['architecture']['options']['backbone']}, "
        f"{teacher['parameters']:,} parameters, trained outside, registered by `POST /teachers` and scored by the jobs."
    )  # fmt: skip
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, table of commit {commit} by `python -m benchmarks.segmentation.camvid`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others, one thread a job. {data['train']} training, "
        f"{data['validation']} validation and {data['test']} test images of 480 x 360, seen as "
        f"{config['image_size']} x {config['image_size']} and scored at their own size; 11 classes, void left out. "
        f"{taught} Student: FPN on {student['architecture']['options']['backbone']}, {student['parameters']:,} "
        f"parameters, random at first, {steps} steps of {config['batch_size']} in {config['precision']}, "
        f"`{config['augmentation']}`, the default learning rate. The final network, no best epoch. Mean and sample "
        "deviation over seeds; differences are of the same seed. Seconds are of training alone, under the load of the "
        "moment. Published on these splits: SegNet 55.6, ENet 51.3."
    )


def _teacher_row(teacher: Any) -> str:
    iou, pixels = (f"{_percent(teacher, key):.2f}" for key in ("mean_iou", "pixel_accuracy"))
    return f"| teacher | - | {iou} | - | - | {pixels} | - | - | - |"


def _row(arm: str, reports: dict[int, Any], baseline: dict[int, Any]) -> str:
    students = {seed: report["student"] for seed, report in reports.items()}
    values = {seed: _percent(student, "mean_iou") for seed, student in students.items()}
    others = {seed: _percent(report["student"], "mean_iou") for seed, report in baseline.items()}
    leads = [values[seed] - others[seed] for seed in values if seed in others]
    pixels = [_percent(student, "pixel_accuracy") for student in students.values()]
    agreed = [_percent(student, "agreement") for student in students.values() if student.get("agreement")]
    seconds = [report["training"]["seconds"] for report in reports.values()]
    cells = [
        f"student, {arm}", ", ".join(map(str, values)), f"{statistics.mean(values.values()):.2f}",
        _deviation(list(values.values())), _lead(leads), f"{statistics.mean(pixels):.2f}",
        f"{statistics.mean(agreed):.2f}" if agreed else "-", f"{statistics.mean(seconds):.0f}",
        ", ".join(f"{value:.2f}" for value in values.values()),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _lead(leads: Sequence[float]) -> str:
    if not leads:
        return "-"
    return f"{statistics.mean(leads):+.2f}" + (f" ± {statistics.stdev(leads):.2f}" if len(leads) > 1 else "")


def _percent(figures: Any, key: str) -> float:
    return float(100 * figures[key]["value"])


def _deviation(values: Sequence[float]) -> str:
    return f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"
