"""How a cache of the teacher's targets stores a sample: as a row of fixed size, or packed to positions that count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """Which positions of each sample a packed store keeps: `first[i]` to `end[i]` (exclusive) of sample i. Samples lie
    one after the other."""

    first: Tensor
    end: Tensor

    @property
    def counts(self) -> Tensor:
        return (self.end - self.first).clamp(min=0)

    @property
    def mean(self) -> float:
        return float(self.counts.double().mean())

    def of(self, indices: Tensor, home: torch.device) -> Spans:
        return Spans(self.first[indices].to(home), self.end[indices].to(home))

    def places(self, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """(n, width): where each position of the samples at `rows` lies, and whether it is kept at all."""
        counts = self.counts
        starts = counts.cumsum(0) - counts
        at = torch.arange(width, device=self.first.device)
        first, end = self.first[rows][:, None], self.end[rows][:, None]
        return starts[rows][:, None] + at - first, (at >= first) & (at < end)


@dataclass(frozen=True)
class Packed:
    """How one target is packed: by the spans named `key`; `flat`: it comes as the kept positions alone, (m, ...), not
    as (n, t, ...)."""

    key: str
    flat: bool


class Packing:
    """Every target has one row a sample. The base of all others, and the packing of pictures."""

    def spans(self) -> dict[str, Spans]:
        """By name; of all samples of the dataset."""
        return {}

    def of(self, name: str, target: Tensor) -> Packed | None:
        """How a batch's target of this name is packed; None: one row a sample."""
        return None

    def width(self, inputs: Any) -> int:
        """Positions of a batch's inputs, padded ones included."""
        raise NotImplementedError("nothing is packed")


WHOLE_ROWS = Packing()
