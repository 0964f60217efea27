"""How far two networks' labels of a picture are from each other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, stack

from distill.disagreement import jensen_shannon

APART = (
    "Mean over the classes of the Jensen-Shannon divergence between the student's and the teacher's probability that "
    "the image has the class, in bits: 0 where all are equal, 1 where the networks are sure and never agree."
)


def of_labels(first: Tensor, second: Tensor) -> Tensor:
    """Logits (n, C), each of a class by itself -> (n,) in [0, 1]."""
    return jensen_shannon(_both(first), _both(second)).mean(1)


def _both(logits: Tensor) -> Tensor:
    """(n, C) -> (n, C, 2): log-probabilities of having the class and of not."""
    return stack([F.logsigmoid(logits), F.logsigmoid(-logits)], -1)
