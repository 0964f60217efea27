"""What a feature is worth without training anything on it: the classes of the nearest labelled samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.training.head import Rows

NEIGHBOURS, TEMPERATURE = 20, 0.07
AT_ONCE = 512  # queries


@torch.no_grad()
def nearest_classes(known: Rows, asked: Tensor, classes: int) -> Tensor:
    """(m,) int64: the class of each row of `asked` (m, d) by its k nearest rows of `known`, which votes decide.

        argmax_c sum over the k nearest i with label c of exp(cos(f, f_i) / T),   k = 20, T = 0.07

    cos: of the rows scaled to length 1. As Wu et al. (CVPR 2018, section 3.4) define it and DINO's public code
    (facebookresearch/dino, eval_knn.py) sets k and T. Of fewer than k known rows all vote."""
    bank, count = F.normalize(known.features, dim=1), min(NEIGHBOURS, len(known.labels))
    found = []
    for part in torch.split(F.normalize(asked, dim=1), AT_ONCE):
        near, which = (part @ bank.T).topk(count, dim=1)
        votes = (near / TEMPERATURE).exp()
        scores = votes.new_zeros(len(part), classes).scatter_add_(1, known.labels[which], votes)
        found.append(scores.argmax(1))
    return torch.cat(found)
