"""Train a teacher: python -m benchmarks.study.teacher cifar10.parquet retort:vgg11_small 8 crop_flip out.

It sees twice the students' images, so that it has something to teach, and is trained by the same code as every student
(`cross_entropy` through `distill.run`). Arguments: dataset (one or more), architecture, epochs, augmentation, folder;
the weights end in folder/teacher/artifacts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from distill.commands.study import parse_architecture, parse_dataset
from distill.studying.grid import train_teacher
from distill.types import DistillConfig

IMAGES, TEST_IMAGES = 20_000, 4_000


def main(dataset: tuple[str, ...], architecture: str, epochs: int, augmentation: str, folder: Path) -> Path:
    """The path of the teacher's weights; an interrupted training continues."""
    config = DistillConfig.model_validate({
        "epochs": epochs, "train_limit": IMAGES, "test_limit": TEST_IMAGES, "augmentation": augmentation,
        "precision": "fp32", "channels_last": True, "compile": False, "device": "cpu",
    })  # fmt: skip
    return train_teacher(parse_dataset(dataset), parse_architecture(architecture), config, folder)


if __name__ == "__main__":
    *data, named, count, augment, place = sys.argv[1:]
    print(main(tuple(data), named, int(count), augment, Path(place)))
