"""How a cache keeps the teacher's targets of texts: only real tokens, of instructions only those of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill.data.packing import Packed, Packing, Spans

TOKENS, LOGITS = "tokens", "logits"


@dataclass(frozen=True)
class TokenPacking(Packing):
    """`lengths`: the tokens of every sample of the dataset; `begins`: the first of each that a target is needed for
    (None: the first of all, and logits have one row a sample).

    Targets (n, t, c) keep the tokens from `begins` to `lengths`; logits (m, V) of a decoder come for the answers'
    tokens alone, of which the last predicts nothing. Batches are at least 8 tokens wide, so a target (n, 1, c) has one
    row a sample.
    """

    lengths: Tensor
    begins: Tensor | None = None

    def spans(self) -> dict[str, Spans]:
        if self.begins is None:
            return {TOKENS: Spans(self.lengths.new_zeros(len(self.lengths)), self.lengths)}
        return {TOKENS: Spans(self.begins, self.lengths), LOGITS: Spans(self.begins, self.lengths - 1)}

    def of(self, name: str, target: Tensor) -> Packed | None:
        if name == "logits" and self.begins is not None and target.dim() == 2:
            return Packed(LOGITS, flat=True)
        return Packed(TOKENS, flat=False) if target.dim() == 3 and target.shape[1] > 1 else None

    def width(self, inputs: Any) -> int:
        return int(inputs["input_ids"].shape[1])
