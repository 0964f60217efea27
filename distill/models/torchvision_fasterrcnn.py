"""`torchvision:fasterrcnn_resnet50_fpn`: torchvision's Faster R-CNN with one tensor as output, on any of its ResNets,
or on MobileNetV3 as its `fasterrcnn_mobilenet_v3_large_fpn`.

The state dict is torchvision's own (`backbone.body.*`, `backbone.fpn.*`, `rpn.head.*`, `roi_heads.*`), so that a
checkpoint of its trainer is a teacher: one class of the file is the background. Its transform, matchers, samplers and
losses are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models.anchors import FINE, against_background, anchors_strides, decoded
from distill.models.detectors import DETECTORS, MOBILENETS
from distill.models.nms import suppress
from distill.models.points import Size, unpack
from distill.models.proposals import PROPOSALS, Proposals
from distill.models.pyramid_rows import ALL, Pack, grid_anchors, sizes_of
from distill.models.roi_pooling import pooled

# isort: split
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import mobilenet_backbone, resnet_fpn_backbone

NAME = "fasterrcnn_resnet50_fpn"
DEFAULT, OF_LEVEL = 512, 1000
"""Proposals of an image unless the option says otherwise; regions of a level that are looked at."""
OVERLAP, LEAST_SIDE = 0.7, 1e-3
"""IoU of two regions of a level of which one goes; pixels below which a region has no side."""
EVERY_STAGE = 6
SIDES, RATIOS = (32, 64, 128, 256, 512), (0.5, 1.0, 2.0)


class TwoStageRCNN(FasterRCNN):  # type: ignore[misc]
    """(n, 3, h, w) -> `Proposals`, packed, in training too. The proposals of a step are those of the network alone:
    unlike torchvision's, the objects themselves are not among them (**our choice**: a network does not see labels)."""

    last_layer = "pyramid"
    answers = PROPOSALS

    def __init__(self, backbone: nn.Module, num_classes: int, proposals: int, anchors: AnchorGenerator | None) -> None:
        super().__init__(backbone, num_classes + 1, rpn_anchor_generator=anchors)
        self.pyramid = Pack()
        self.num_classes, self.proposals = num_classes, proposals

    def features(self, x: Tensor) -> Tensor:
        """(n, P, c): the pyramid, of which `judge` wants the levels."""
        packed: Tensor = self.pyramid(list(self.backbone(x).values()))
        return packed

    def forward(self, x: Tensor) -> Tensor:
        levels = list(self.backbone(x).values())
        sizes, image = sizes_of(levels), (x.shape[-2], x.shape[-1])
        levels = unpack(self.pyramid(levels), sizes)
        objectness, deltas = self._regions(levels)
        anchors = grid_anchors(self.rpn.anchor_generator, sizes, image, x)
        regions = decoded(deltas.float(), anchors)
        each = self.rpn.anchor_generator.num_anchors_per_location()
        counts = [height * width * count for (height, width), count in zip(sizes, each, strict=True)]
        corners, there = self._propose(regions.detach(), objectness.detach().float(), counts, image)
        strides = anchors_strides(sizes, image, each, x).expand(x.shape[0], -1)
        anchors = anchors.expand(x.shape[0], -1, -1)
        judged = self.judge(levels, corners, image)
        return Proposals(objectness, regions, anchors, strides, corners, there, *judged).packed()

    def _regions(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Objectness (n, A) and deltas (n, A, 4), level after level in reading order."""
        scores, deltas = self.rpn.head(levels)
        flat = [score.movedim(1, -1).flatten(1) for score in scores]
        moves = [d.movedim(1, -1).reshape(d.shape[0], -1, 4) for d in deltas]
        return torch.cat(flat, 1), torch.cat(moves, 1)

    def _propose(
        self, regions: Tensor, objectness: Tensor, counts: Sequence[int], image: Size
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The best regions (n, R, 4) that do not overlap within their level, and (n, R) whether there is one."""
        edges = regions.new_tensor([image[1], image[0]] * 2)
        regions = torch.minimum(regions.clamp(min=0), edges)
        found, scores = [], []
        for boxes, logits in zip(*(torch.split(each, list(counts), 1) for each in (regions, objectness)), strict=True):
            best, which = logits.sigmoid().topk(min(OF_LEVEL, logits.shape[1]), dim=1)
            boxes = boxes.gather(1, which[..., None].expand(-1, -1, 4))
            sided = ((boxes[..., 2:] - boxes[..., :2]) >= LEAST_SIDE).all(-1)
            best = torch.where(sided, best, -1.0)
            kept = suppress(boxes, best[:, None], OVERLAP, 0.0)[:, 0]
            found.append(boxes)
            scores.append(torch.where(kept, best, -1.0))
        boxes, every = torch.cat(found, 1), torch.cat(scores, 1)
        missing = self.proposals - every.shape[1]
        if missing > 0:
            every = torch.cat([every, every.new_full((every.shape[0], missing), -1.0)], 1)
            boxes = torch.cat([boxes, boxes.new_zeros(boxes.shape[0], missing, 4)], 1)
        best, which = every.topk(self.proposals, dim=1)
        there = (best > 0).float()
        return boxes.gather(1, which[..., None].expand(-1, -1, 4)) * there[..., None], there

    def judge(self, levels: Sequence[Tensor], corners: Tensor, image: Size) -> tuple[Tensor, Tensor]:
        """The second stage on maps of `levels`, the finest first, the last of which no box is read off: of boxes
        (n, R, 4) in pixels of an input of `image` (height, width) class logits against the background's (n, R, C), and
        boxes (n, R, C, 4)."""
        n, count = corners.shape[:2]
        deep = self.roi_heads.box_head(pooled(levels[:-1], corners, image))
        logits, deltas = self.roi_heads.box_predictor(deep)
        classes = against_background(logits.float()).reshape(n, count, -1)
        deltas = deltas.float().reshape(n, count, -1, 4)[:, :, 1:]
        return classes, decoded(deltas, corners[:, :, None], FINE)


def make(num_classes: int, options: dict[str, Any]) -> nn.Module:
    """`options`: `backbone`; `proposals`, how many regions the second stage sees of an image, default 512. Downloads
    nothing."""
    backbone, count = options.get("backbone", DETECTORS[NAME].backbone), options.get("proposals", DEFAULT)
    if backbone in MOBILENETS:
        body = mobilenet_backbone(
            backbone_name=backbone, weights=None, fpn=True, norm_layer=nn.BatchNorm2d, trainable_layers=EVERY_STAGE
        )
        return TwoStageRCNN(body, num_classes, count, AnchorGenerator((SIDES,) * 3, (RATIOS,) * 3))
    body = resnet_fpn_backbone(
        backbone_name=backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=ALL
    )  # fmt: skip
    return TwoStageRCNN(body, num_classes, count, None)
