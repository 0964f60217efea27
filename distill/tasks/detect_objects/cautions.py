"""What a run on boxes warns of: objects that no point answers for, and too few steps to learn to place boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import InvalidConfig
from distill.tasks.detect_objects.heads import Head
from distill.tasks.detect_objects.rows import Objects
from distill.training.plan import length
from distill.types import DistillConfig
from distill.warned import RunWarning

LOOKED_AT = 5_000
"""Objects, at even distances, that are held against the points."""
FEW_LEFT_OUT = 0.01
FEW_STEPS, SMALL_BATCH = 100, 8
"""**Our choice**: the study's detectors take 300 steps from noise; tens leave an AP of about 0."""
_AT_ONCE = 256
_LARGER = "Raise image_size, or give the student the option finest: 4."


def answered(head: Head, output: Tensor, corners: Tensor) -> Tensor:
    """(k,) bool: whether something of the detector's output (1, ...) answers for each box (k, 4), in pixels of the
    input, where it is alone."""
    parts = []
    for boxes in torch.split(corners, _AT_ONCE):
        count, there = len(boxes), torch.ones(len(boxes), 1, dtype=torch.bool)
        objects = Objects(boxes[:, None], torch.zeros(count, 1, dtype=torch.int64), there, ~there)
        alike = output.expand(count, *output.shape[1:])
        parts.append(head.answering(alike, objects).any(1))
    return torch.cat([torch.zeros(0, dtype=torch.bool), *parts])


def unanswered(
    head: Head, output: Tensor, shown: NDArray[np.float32], size: tuple[int, int]
) -> Iterator[RunWarning]:  # fmt: skip
    """`objects_not_learnt` where more than 1 % of the training objects hold no point. `shown`: their corners (m, 4) in
    pixels of the input of `size`, as evaluation shows them. Raises `InvalidConfig` where none holds one."""
    places = np.linspace(0, len(shown) - 1, min(len(shown), LOOKED_AT)).round().astype(int)
    found = answered(head, output.cpu(), torch.from_numpy(shown[places]))
    looked, left_out = len(found), int((~found).sum())
    of = f"{left_out:,} of {looked:,} training objects" + (" (of a sample)" if looked < len(shown) else "")
    message = f"{of} hold no point of the student's levels at {size[0]} x {size[1]} pixels, and are not learnt."
    details = {"objects": looked, "left_out": left_out, "size": list(size)}
    if looked and left_out == looked:
        raise InvalidConfig(message, _LARGER, details)
    if left_out > FEW_LEFT_OUT * looked:
        yield RunWarning("objects_not_learnt", message, _LARGER, details)


def too_short(config: DistillConfig, images: int) -> Iterator[RunWarning]:
    """`few_steps` where a student that begins with noise trains for less than 100 steps on `images` images."""
    batch = config.batch_size
    found = length(config, max(1, images // batch))
    if (steps := found.total_steps) < FEW_STEPS:
        yield RunWarning(
            "few_steps",
            f"{steps} steps are few for a detector that begins with noise: {images:,} images in batches of {batch} "
            f"make {found.steps_per_epoch} an epoch.",
            "Use more epochs." if batch <= SMALL_BATCH else "Use a smaller batch_size (8 or 16), or more epochs.",
            {"steps": steps, "batch_size": batch, "images": images},
        )  # fmt: skip
