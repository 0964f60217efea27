"""What a detector of object queries gives: for every query class logits and a box, layer after layer, in one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.modalities.images.preprocessing import Preprocessing

QUERIES, REFINED_QUERIES = "queries", "refined_queries"
"""What a network that gives such rows says of itself in its attribute `answers`: RT-DETR, and D-FINE."""
BESIDE_QUERY = 6
"""Columns of a row beside its class logits."""
SIDE = 640
"""Pixels of the square input that the published weights see."""
_BACKBONE = "backbone_"


@dataclass(frozen=True)
class Queries:
    """Rows (..., P, C + 6) by what their columns mean. The network's layers follow each other, each with as many
    queries; the last is the network's answer, the others are taught alone.

    classes: (..., P, C) logits, of a sigmoid each. boxes: (..., P, 4), centre x, centre y, width and height as shares
    of the input. sides: (..., P, 2), the input's width and height in pixels.
    """

    classes: Tensor
    boxes: Tensor
    sides: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Queries:
        beside = rows[..., -BESIDE_QUERY:]
        return cls(rows[..., :-BESIDE_QUERY], beside[..., :4], beside[..., 4:])

    def corners(self) -> Tensor:
        """(..., P, 4): x1 y1 x2 y2 in pixels of the input."""
        return corners_of(self.boxes) * torch.cat([self.sides, self.sides], -1)


@dataclass(frozen=True)
class Refined:
    """Rows (..., P, 4 (B + 1) + 4 + C + 6), whose last columns are those of `Queries`, by what the others mean.

    distances: (..., P, 4 (B + 1)) logits over B + 1 distances of each side (left, top, right, bottom) from the start.
    start: (..., P, 4), the box that is refined: centre x, centre y, width and height as shares of the input. Both are 0
    in the rows of the first two layers, the encoder's choice and the start itself.
    """

    distances: Tensor
    start: Tensor

    @classmethod
    def of(cls, rows: Tensor, bins: int) -> Refined:
        count = 4 * (bins + 1)
        return cls(rows[..., :count], rows[..., count : count + 4])

    @staticmethod
    def columns(bins: int) -> int:
        """Columns of a row beside those of `Queries`."""
        return 4 * (bins + 1) + 4


def corners_of(boxes: Tensor) -> Tensor:
    """(..., 4) as x1 y1 x2 y2, of centre x, centre y, width and height."""
    centres, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centres - half, centres + half], -1)


def of_every_layer(found: Any, image: tuple[int, int]) -> Tensor:
    """Rows of what transformers' model says of the encoder's choice and then of each layer of its decoder."""
    classes = torch.cat([found.enc_topk_logits[:, None], found.intermediate_logits], 1)
    boxes = torch.cat([found.enc_topk_bboxes[:, None], found.intermediate_reference_points], 1)
    return queried(classes.flatten(1, 2), boxes.flatten(1, 2), image)


def queried(classes: Tensor, boxes: Tensor, image: tuple[int, int]) -> Tensor:
    """Rows (n, P, C + 6) in fp32 of logits (n, P, C) and boxes (n, P, 4), of an input of `image` (height, width)."""
    sides = classes.new_tensor([image[1], image[0]], dtype=torch.float32).expand(*classes.shape[:2], 2)
    return torch.cat([classes.float(), boxes.float(), sides], -1)


def refined(rows: Tensor, distances: Tensor, start: Tensor) -> Tensor:
    """Rows (n, (L + 2) Q, C + 6), of the encoder's choice, the start and L layers, with the distances (n, L, Q, 4 (B +
    1)) and starts (n, L, Q, 4) of the L layers before their columns."""
    beside = torch.cat([distances.float(), start.float()], -1).flatten(1, 2)
    nothing = beside.new_zeros(rows.shape[0], rows.shape[1] - beside.shape[1], beside.shape[-1])
    return torch.cat([torch.cat([nothing, beside], 1), rows], -1)


def of_backbone(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The backbone's options, without the `backbone_` before them, and the others."""
    backbones = {key.removeprefix(_BACKBONE): value for key, value in options.items() if key.startswith(_BACKBONE)}
    return backbones, {key: value for key, value in options.items() if not key.startswith(_BACKBONE)}


def without_denoising(network: Any) -> nn.Module:
    """The network, whose embedding of denoising queries is not trained."""
    unused = getattr(network.model, "denoising_class_embed", None)
    if unused is not None:
        unused.requires_grad_(False)
    made: nn.Module = network
    return made


def seeing() -> Preprocessing:
    """How the published weights see, where nobody tells: values from 0 to 1, without mean and std."""
    return Preprocessing((0.0,) * 3, (1.0,) * 3, (SIDE, SIDE))
