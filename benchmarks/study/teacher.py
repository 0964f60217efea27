"""Train one teacher on the labels: python -m benchmarks.study.teacher cifar10.parquet retort:vgg11_small 8 out.

It uses twice the students' images and crop-and-flip augmentation, so that it has something to teach, and the
same code as every student (`cross_entropy` through `distill.run`). Arguments: dataset (one or more), architecture,
epochs, folder; the weights end in folder/teacher/artifacts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from distill.commands.study import parse_architecture, parse_dataset
from distill.studying.grid import train_teacher
from distill.types import DistillConfig

IMAGES, TEST_IMAGES = 20_000, 4_000


def main(dataset: tuple[str, ...], architecture: str, epochs: int, folder: Path) -> Path:
    """The path of the teacher's weights; an interrupted training continues."""
    config = DistillConfig(
        epochs=epochs, train_limit=IMAGES, test_limit=TEST_IMAGES, augmentation="crop_flip", precision="fp32",
        channels_last=True, compile=False, device="cpu",
    )  # fmt: skip
    return train_teacher(parse_dataset(dataset), parse_architecture(architecture), config, folder)


if __name__ == "__main__":
    print(main(tuple(sys.argv[1:-3]), sys.argv[-3], int(sys.argv[-2]), Path(sys.argv[-1])))
