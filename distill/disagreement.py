"""How far a student's answers on the test samples are from its teacher's, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Look:
    """A sample for people. `told`: JSON-serialisable: `label`, `student` and `teacher`, and what the sample is called
    or says; `picture`: None of texts."""

    told: dict[str, Any]
    picture: Image.Image | None = None

    def telling(self, more: Mapping[str, Any]) -> Look:
        """The same with more told."""
        return replace(self, told=self.told | dict(more))


@dataclass(frozen=True)
class Apart:
    """`scores`: (n,) fp64, one a sample looked at, 0 where both networks say the same; `measure`: the score's name, a
    stable one; `definition`: what it is, a sentence; `samples`: (n,) int64, positions in the dataset's test split;
    `look`: the samples at these places of `scores`."""

    scores: Tensor
    measure: str
    definition: str
    samples: Tensor
    look: Callable[[Sequence[int]], list[Look]]

    def ranked(self, most: int) -> list[int]:
        """Places of the `most` samples with the highest scores, of equal ones the earlier first; none with 0."""
        order = torch.sort(self.scores, descending=True, stable=True).indices[:most].tolist()
        return [place for place in order if self.scores[place] > 0]


def jensen_shannon(first: Tensor, second: Tensor) -> Tensor:
    """Of log-probabilities (n, C), each row a distribution: (n,) fp64 in [0, 1], in bits.

    JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2,  m = (p + q) / 2   (Lin 1991)

    Symmetric, finite also where one of the two is 0, 0 for equal distributions, 1 for those without a common class.
    """
    p, q = first.double(), second.double()
    m = torch.logaddexp(p, q) - math.log(2)
    nats = (p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1)
    return (nats / 2 / math.log(2)).clamp(0, 1)


def in_batches(scores: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor, rows: int = 1024) -> Tensor:
    """`scores` of rows some at a time: fp64 copies of all logits of a large test set are not held at once."""
    parts = (slice(start, start + rows) for start in range(0, len(first), rows))
    found = [scores(first[part].float(), second[part].float()) for part in parts]
    return torch.cat([torch.empty(0, dtype=torch.double), *found])
