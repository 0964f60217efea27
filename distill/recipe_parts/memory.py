"""Embeddings of every training sample as they were last seen: a store of negatives for contrastive recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import processes

UNSET = -1.0


class Memory(nn.Module):
    """A bank (N, d) of unit rows, one a training sample, and the constant that turns scores into probabilities.

    Both are buffers, so that a checkpoint continues with them. In training mode `remember` moves a sample's row towards
    its newest embedding; the first scores set the constant. Of several processes all see the embeddings of all, and so
    keep the same bank. `indices`: the samples' positions, as batches name them; a row of the bank each.
    """

    bank: Tensor
    normaliser: Tensor
    _row: Tensor

    def __init__(self, indices: Sequence[int], width: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        bound = 1 / math.sqrt(width / 3)
        self.register_buffer("bank", torch.rand(len(indices), width) * 2 * bound - bound)
        self.register_buffer("normaliser", torch.tensor(UNSET))
        rows = torch.zeros(max(indices) + 1, dtype=torch.long)
        rows[torch.as_tensor(indices)] = torch.arange(len(indices))
        self.register_buffer("_row", rows, persistent=False)

    def __len__(self) -> int:
        return len(self.bank)

    def rows(self, index: Tensor) -> Tensor:
        """(n,) rows of the bank of samples (n,)."""
        return self._row[index]

    def probabilities(self, embedded: Tensor, picked: Tensor, temperature: float) -> Tensor:
        """exp(<v_i, bank_ik> / T) / Z of unit embeddings v (n, d) and rows `picked` (n, m) of the bank: (n, m); Z = N
        times the mean of the first such scores."""
        scores = (embedded @ self.bank.clone().T).gather(1, picked)  # the bank changes before the backward pass
        scores = (scores / temperature).exp()
        return scores / self._constant(scores)

    def _constant(self, scores: Tensor) -> Tensor:
        constant = torch.where(self.normaliser < 0, processes.mean_of_whole(scores) * len(self), self.normaliser)
        if self.training:
            self.normaliser.copy_(constant)
        return constant

    @torch.no_grad()
    def remember(self, index: Tensor, embedded: Tensor) -> None:
        """bank <- unit(momentum bank + (1 - momentum) v) at the samples of all processes."""
        rows, newest = self.rows(processes.whole(index)), processes.whole(embedded)
        moved = self.momentum * self.bank[rows] + (1 - self.momentum) * newest
        self.bank.index_copy_(0, rows, F.normalize(moved))
