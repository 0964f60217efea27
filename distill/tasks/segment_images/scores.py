"""Intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor


def intersection_over_union(hits: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
    """IoU_c = hits_c / (labelled_c + predicted_c - hits_c), each (..., C) counts of pixels -> (..., C) float64 in
    [0, 1], NaN for a class that is neither in the masks nor said by the network. hits: of class c and said to be."""
    union = labelled + predicted - hits
    return torch.where(union > 0, hits.double() / union.clamp(min=1), torch.nan)


def mean_iou(ious: Tensor) -> Tensor:
    """(..., C) -> (...): the mean over the classes that have an IoU; 0 where none has."""
    return ious.nanmean(-1).nan_to_num(0.0)
