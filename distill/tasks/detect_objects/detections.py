"""From a detector's rows to boxes with a class and a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.tasks.detect_objects.heads import Head
from distill.tasks.detect_objects.nms import suppressed

LEAST_SCORE, OVERLAP, CANDIDATES, MOST = 0.05, 0.6, 1000, 100
"""As FCOS's public code: scores below do not count; IoU of two boxes of a class, of which one goes; the best candidates
that are looked at; boxes of an image."""
SURE = 0.3
"""From this score on a box counts where boxes are judged without regard to their order (**our choice**): as an object
of the teacher's for `agreement`, in an image's own F1, in pictures."""


@dataclass(frozen=True)
class Detections:
    """k boxes of one image, the best first. corners: (k, 4) x1 y1 x2 y2 in pixels; scores: (k,) in [0, 1]; classes:
    (k,) int64. On the CPU."""

    corners: Tensor
    scores: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those with at least that score."""
        kept = self.scores >= score
        return Detections(self.corners[kept], self.scores[kept], self.classes[kept])

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """As COCO's results files have them. `category_ids`: by class; None: 1, 2, ... in their order."""
        rows = zip(self.corners.tolist(), self.classes.tolist(), self.scores.tolist(), strict=True)
        return [
            {
                "image_id": image_id,
                "category_id": number + 1 if category_ids is None else category_ids[number],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
            for (x1, y1, x2, y2), number, score in rows
        ]

    def resized(self, seen: tuple[int, int], size: tuple[int, int]) -> Detections:
        """In pixels of a picture of `size` (height, width) that the network saw at `seen`, cut at its border."""
        scale = torch.tensor([size[1] / seen[1], size[0] / seen[0]] * 2)
        border = torch.tensor([float(size[1]), float(size[0])] * 2)
        corners = torch.minimum((self.corners * scale).clamp(min=0), border)
        return Detections(corners, self.scores, self.classes)


def detect(output: Tensor, head: Head) -> Detections:
    """The output for one image of a network with this head -> its boxes, in pixels of the network's input; they may
    leave the image."""
    scored = head.scored(output.detach().float())
    scores, outputs = scored.scores.flatten(), scored.scores.shape[-1]
    best = scores.topk(min(CANDIDATES, len(scores))).indices
    best = best[scores[best] >= LEAST_SCORE].sort().values  # in the order of points: ties fall alike everywhere
    places, classes, scores = best // outputs, best % outputs, scores[best]
    corners = scored.boxes[places, classes if scored.boxes.shape[-2] > 1 else torch.zeros_like(classes)]
    if head.kind.suppresses:
        kept = suppressed(corners, scores, classes, OVERLAP, MOST)
    else:
        kept = scores.argsort(descending=True, stable=True)[:MOST]
    return Detections(corners[kept].cpu(), scores[kept].cpu(), classes[kept].cpu())
