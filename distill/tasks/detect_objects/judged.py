"""How well a detector does on single images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import SURE, Detections
from distill.tasks.detect_objects.matching import Truth, matched, overlaps

HALF = 0
"""The position of IoU 0.5 among the thresholds."""


@dataclass(frozen=True)
class Judged:
    """Of one image: objects that a box meets, objects that none does, and boxes that meet no object."""

    found: int
    missed: int
    wrong: int

    @property
    def f1(self) -> float:
        """F1 = 2 found / (2 found + missed + wrong), in [0, 1]: the harmonic mean of precision and recall. 1 where
        there is nothing to find and nothing was said."""
        errors = self.missed + self.wrong
        return 2 * self.found / (2 * self.found + errors) if errors else 1.0


def judged(truth: Boxes, said: Detections) -> Judged:
    """**Our choice**: the boxes of a score of at least 0.3 against the objects of their class by COCO's rule at IoU 0.5
    (`distill.tasks.detect_objects.matching`), both in pixels of the image. A box that meets an ignored object counts
    neither way."""
    sure = said.above(SURE)
    found = wrong = 0
    for number in torch.unique(sure.classes).tolist():
        mine = truth.pick(truth.classes == number)
        objects = Truth(torch.from_numpy(mine.corners), mine.ignored, mine.crowd)
        met, left_out = matched(overlaps(sure.corners[sure.classes == number], objects), objects)
        found += int(met[HALF].sum())
        wrong += int((~met[HALF] & ~left_out[HALF]).sum())
    return Judged(found, int((~truth.ignored).sum()) - found, wrong)


def worst_first(judgements: Sequence[Judged]) -> list[int]:
    """Positions of the images, those of the lowest F1 first; of equal F1 the one with more errors, then the earlier."""
    keys = [(each.f1, -(each.missed + each.wrong)) for each in judgements]
    return sorted(range(len(keys)), key=keys.__getitem__)
