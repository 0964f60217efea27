"""An epoch that draws the classes evenly."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from distill.unlabelled import NO_LABEL


def evenly(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Positions (n,) in `labels` (n,), int64, in random order: of n_l labelled samples of K classes each class is drawn
    n_l / K times (the remainder goes to classes by lot), every sample of `NO_LABEL` once.

    A class with fewer samples than its draws is repeated whole, in a new order each time, so that no sample of it is
    drawn more than once above another; one with more gives as many of its samples, others every epoch. Depends on the
    generator alone.
    """
    known = labels != NO_LABEL
    classes = torch.unique(labels[known])
    drawn = [(~known).nonzero()[:, 0]]
    if len(classes):
        draws, rest = divmod(int(known.sum()), len(classes))
        lucky = set(torch.randperm(len(classes), generator=generator)[:rest].tolist())
        order = labels.argsort(stable=True)
        starts = torch.searchsorted(labels[order], torch.cat([classes, classes[-1:] + 1])).tolist()
        for number, (low, high) in enumerate(pairwise(starts)):
            drawn.append(_repeated(order[low:high], draws + (number in lucky), generator))
    every = torch.cat(drawn)
    return every[torch.randperm(len(every), generator=generator)]


def _repeated(members: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    turns = -(-draws // len(members))
    orders = [torch.randperm(len(members), generator=generator) for _ in range(turns)]
    return members[torch.cat(orders)[:draws]] if orders else members[:0]
