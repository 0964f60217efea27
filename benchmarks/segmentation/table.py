"""What the table of a study of masks shows."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

from benchmarks.arms import Shown

SHOWN = Shown(("mean_iou", "mean IoU"), (("pixel_accuracy", "pixel accuracy"),), "IoU")


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
