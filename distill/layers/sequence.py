"""Features of padded sequences as rows: one row a sample, or one row a token, padded positions left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from distill.layers.view import FeatureView
from distill.types import Layer

Reads = Literal["cls", "mean", "last", "tokens"]
MOST_TOKENS = 1024
IGNORED = -100


def sequences(layers: Sequence[Layer]) -> list[Layer]:
    """Those with a token axis: embeddings and blocks. A pooled vector after them belongs to the head."""
    return [layer for layer in layers if len(layer.shape) == 2]


@dataclass(frozen=True)
class SequenceView(FeatureView):
    """What of a feature (n, t, c) counts. `reads`:

    * `cls`: the first token's vector, (n, c);
    * `mean`: the mean over the tokens that `attention_mask` (n, t) marks, (n, c);
    * `last`: the last such token's vector, (n, c);
    * `tokens`: a vector for every such token, or for every token of the answer where labels (n, t) mark one, (m, c).

    **Our choice** is `auto`: what the classification head reads (`cls` for BERT and its kin, `mean` where a ModernBERT
    says so, `last` for decoders), and `tokens` for decoders that follow instructions (`last` for their Q curve, since
    only a causal model's last token has seen the whole prompt). Losses that compare all rows with each other see at
    most 1,024 tokens, evenly spaced over the batch (**our choice**). A feature without a token axis is taken as it is.
    """

    padded: ClassVar[bool] = True
    reads: Reads

    @property
    def per_token(self) -> bool:
        return self.reads == "tokens"

    def per_sample(self) -> SequenceView:
        """Itself, or for `tokens` their mean: for what needs one row a sample."""
        return SequenceView("mean") if self.per_token else self

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row of a feature of this shape a sample."""
        return shape[-1:]

    def rows(self, feature: Tensor, inputs: Mapping[str, Any], marks: Any = None) -> Tensor:
        """(n, t, c) -> (n, c). Under `tokens` the feature as it is, zeros at padded positions, for `pick`."""
        if feature.dim() < 3:
            return feature
        mask = inputs["attention_mask"].bool()
        if self.reads == "cls":
            return feature[:, 0]
        if self.reads == "last":
            return feature[torch.arange(len(feature), device=feature.device), mask.sum(1) - 1]
        feature = feature.masked_fill(~mask[:, :, None], 0)
        return feature if self.per_token else feature.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    def pick(self, feature: Tensor, inputs: Mapping[str, Any], labels: Tensor, most: int | None = None) -> Tensor:
        """(n, t, c) -> (m, c): the tokens that count, in reading order, at most `most` of them, evenly spaced."""
        mask = labels != IGNORED if labels.dim() == 2 else inputs["attention_mask"].bool()
        picked = feature[mask]
        if most is None or len(picked) <= most:
            return picked
        return picked[torch.linspace(0, len(picked) - 1, most, device=picked.device).long()]
