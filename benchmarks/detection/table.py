"""What the table of a study of boxes shows."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

from benchmarks.arms import Shown

SHOWN = Shown(("ap", "AP"), (("ap50", "AP50"), ("ap75", "AP75"), ("ar", "AR")), "AP")


def about(images: str, some: Any, teacher: Any | None, steps: int) -> str:
    """What the jobs have in common. `images`: what they show, and their size."""
    student, config, data = some["student"], some["configuration"], some["dataset"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    taught = "No teacher yet." if teacher is None else (
        f"Teacher: `retort:fcos` on {teacher['architecture']['options']['backbone']}, {teacher['parameters']:,} "
        "parameters, trained from noise by a job of the same study."
    )  # fmt: skip
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, table of commit {commit} by `python -m benchmarks.detection`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others. {data['train']} training, "
        f"{data['validation']} validation and {data['test']} test images of {images}, seen as "
        f"{config['image_size']} x {config['image_size']} and scored at their own size; "
        f"{len(student['per_class'])} classes. {taught} Student: "
        f"`retort:fcos` on {student['architecture']['options']['backbone']}, {student['parameters']:,} parameters, "
        f"random at first, {steps} steps of {config['batch_size']} in fp32, `{config['augmentation']}`, "
        f"learning rate {config['learning_rate']}. The final network, no best epoch. Mean and sample deviation over "
        "seeds; differences are of the same seed. Seconds are of training alone, under the load of the moment."
    )
