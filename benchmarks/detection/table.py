"""The table of a study of boxes: figures by arm, differences to the baseline of the same seed, AP by class."""

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
COLUMNS = (
    "network", "seeds", "AP, %", "sd", "over labels alone, points", "AP50, %", "AP75, %", "AR, %", "agreement, %",
    "training, s", "each seed's AP, %",
)  # fmt: skip


def table(service: Service, arms: Arms, baseline: str) -> str:
    """Markdown."""
    reports = {arm: {seed: service.report(job["id"]) for seed, job in jobs.items()} for arm, jobs in arms.items()}
    every = [report for by_seed in reports.values() for report in by_seed.values()]
    teacher = next((report["teacher"] for report in every if report["teacher"]), None)
    steps = next(job["progress"]["total_steps"] for jobs in arms.values() for job in jobs.values())
    lines = [
        "# BCCD, through the API",
        "",
        about(every[0], teacher, steps),
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
        *([_teacher_row(teacher)] if teacher else []),
        *(_row(arm, each, reports.get(baseline, {}) if arm != baseline else {}) for arm, each in reports.items()),
        "",
        "AP by class, mean over these seeds, %:",
        "",
        *_by_class(teacher, reports),
    ]
    return "\n".join([*lines, ""])


def about(some: Any, teacher: Any | None, steps: int) -> str:
    """What the jobs have in common."""
    student, config, data = some["student"], some["configuration"], some["dataset"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    taught = "No teacher yet." if teacher is None else (
        f"Teacher: `retort:fcos` on {teacher['architecture']['options']['backbone']}, {teacher['parameters']:,} "
        "parameters, trained from noise by a job of the same study."
    )  # fmt: skip
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, table of commit {commit} by `python -m benchmarks.detection.bccd`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others. {data['train']} training, "
        f"{data['validation']} validation and {data['test']} test images of blood cells, 640 x 480, seen as "
        f"{config['image_size']} x {config['image_size']} and scored at their own size; 3 classes. {taught} Student: "
        f"`retort:fcos` on {student['architecture']['options']['backbone']}, {student['parameters']:,} parameters, "
        f"random at first, {steps} steps of {config['batch_size']} in fp32, `{config['augmentation']}`, "
        f"learning rate {config['learning_rate']}. The final network, no best epoch. Mean and sample deviation over "
        "seeds; differences are of the same seed. Seconds are of training alone, under the load of the moment."
    )


def _teacher_row(teacher: Any) -> str:
    ap, ap50 = (f"{100 * teacher[name]['value']:.2f}" for name in ("ap", "ap50"))
    ap75, ar = (f"{100 * teacher[name]:.2f}" for name in ("ap75", "ar"))
    return f"| teacher | - | {ap} | - | - | {ap50} | {ap75} | {ar} | - | - | - |"


def _row(arm: str, reports: dict[int, Any], baseline: dict[int, Any]) -> str:
    students = [report["student"] for report in reports.values()]
    values = {seed: 100 * report["student"]["ap"]["value"] for seed, report in reports.items()}
    others = {seed: 100 * report["student"]["ap"]["value"] for seed, report in baseline.items()}
    leads = [values[seed] - others[seed] for seed in values if seed in others]
    agreed = [100 * student["agreement"]["value"] for student in students if student.get("agreement")]
    cells = [
        f"student, {arm}", ", ".join(map(str, values)), f"{statistics.mean(values.values()):.2f}",
        f"{statistics.stdev(values.values()):.2f}" if len(values) > 1 else "-", _lead(leads),
        f"{statistics.mean(100 * student['ap50']['value'] for student in students):.2f}",
        *(f"{statistics.mean(100 * student[name] for student in students):.2f}" for name in ("ap75", "ar")),
        f"{statistics.mean(agreed):.2f}" if agreed else "-",
        f"{statistics.mean(report['training']['seconds'] for report in reports.values()):.0f}",
        ", ".join(f"{value:.2f}" for value in values.values()),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _lead(leads: Sequence[float]) -> str:
    if not leads:
        return "-"
    return f"{statistics.mean(leads):+.2f}" + (f" ± {statistics.stdev(leads):.2f}" if len(leads) > 1 else "")


def _by_class(teacher: Any | None, reports: Arms) -> list[str]:
    columns = {"teacher": [teacher]} if teacher else {}
    columns |= {arm: [report["student"] for report in each.values()] for arm, each in reports.items()}
    names = next(iter(columns.values()))[0]["per_class"]
    rows = [[name, *(_ap(networks, name) for networks in columns.values())] for name in names]
    return [
        f"| class | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _ap(networks: Sequence[Any], name: str) -> str:
    values = [each["per_class"][name]["value"] for each in networks]
    return "-" if None in values else f"{100 * statistics.mean(values):.1f}"
