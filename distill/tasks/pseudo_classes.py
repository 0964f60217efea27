"""Groups for the Q curve where there are no labels: clusters of the teacher's deepest feature."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from distill.errors import InvalidDataset

DEFAULT = 10
STARTS, ITERATIONS = 4, 100


def pseudo_classes(features: Tensor, k: int, seed: int) -> Tensor:
    """(n,) int64, the cluster 0..k-1 of each row of `features` (n, d): k-means on the rows scaled to length 1, from
    `STARTS` k-means++ starts, of which the one with the least sum of squared distances counts (scikit-learn). The same
    features, k and seed give the same clusters on one machine.

    All of it is **our choice**: the curve is defined by labels (docs/methods.md, section 1). What the deepest feature
    puts together stands for a class, so that the curve asks of earlier layers how far they have come towards the
    teacher's own last word. Raises `InvalidDataset` where the rows do not make two clusters."""
    from sklearn.cluster import KMeans  # a second to import

    rows = F.normalize(features.float(), dim=1).cpu().numpy()
    distinct = len(np.unique(rows, axis=0))
    if distinct < 2:
        raise InvalidDataset(
            "The teacher's deepest feature is the same of every picture, so nothing can be grouped by it.",
            "Check the teacher, and how it sees pictures (preprocessing at registration).",
        )
    means = KMeans(min(k, distinct), n_init=STARTS, max_iter=ITERATIONS, random_state=seed).fit(rows)
    return torch.from_numpy(means.labels_.astype(np.int64))
