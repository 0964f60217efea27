"""What a detector of two stages gives: regions of all anchors, and the classes of the best of them, in one tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PROPOSALS = "proposals"
"""What a network that gives such an output says of itself in its attribute `answers`."""
OF_REGION = 10
"""Values of an anchor: objectness, region, anchor, stride."""


@dataclass(frozen=True)
class Proposals:
    """objectness: (n, A) logits of whether an anchor meets an object. regions: (n, A, 4), the anchors (n, A, 4) moved;
    strides: (n, A). corners: (n, R, 4) of the proposals, which have no gradient; there: (n, R), 1 for a proposal and 0
    where an image has fewer. classes: (n, R, C) logits against the background's; boxes: (n, R, C, 4), of each class its
    own. All boxes are x1 y1 x2 y2 in pixels of the network's input."""

    objectness: Tensor
    regions: Tensor
    anchors: Tensor
    strides: Tensor
    corners: Tensor
    there: Tensor
    classes: Tensor
    boxes: Tensor

    def packed(self) -> Tensor:
        """(n, 10 A + R (5 C + 5)) in fp32."""
        regions = torch.cat([self.objectness[..., None], self.regions, self.anchors, self.strides[..., None]], -1)
        proposals = torch.cat([self.classes, self.boxes.flatten(2), self.corners, self.there[..., None]], -1)
        return torch.cat([regions.float().flatten(1), proposals.float().flatten(1)], 1)

    @classmethod
    def of(cls, packed: Tensor, classes: int, count: int) -> Proposals:
        """The inverse, of C `classes` and R proposals; of one image (L,) without the first axis."""
        size = count * (5 * classes + 5)
        before = packed.shape[:-1]
        regions = packed[..., :-size].reshape(*before, -1, OF_REGION)
        proposals = packed[..., -size:].reshape(*before, count, 5 * classes + 5)
        boxes = proposals[..., classes : 5 * classes].reshape(*before, count, classes, 4)
        return cls(
            regions[..., 0], regions[..., 1:5], regions[..., 5:9], regions[..., 9],
            proposals[..., -5:-1], proposals[..., -1], proposals[..., :classes], boxes,
        )  # fmt: skip
