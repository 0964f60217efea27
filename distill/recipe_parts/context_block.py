"""A map with the context of the whole image added to each of its positions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ContextBlock(nn.Module):
    """R(F) = F + W_2 ReLU(LN(W_1 sum_j softmax_j(W_k F) F_j)), (n, c, h, w) -> the same: the global context block of
    Cao et al. 2019 (arXiv 1904.11492), with half the channels between. W_2 is zero at first, so that R begins as the
    identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        between = max(1, channels // 2)
        self.mask = nn.Conv2d(channels, 1, 1)
        self.add = nn.Sequential(
            nn.Conv2d(channels, between, 1), nn.LayerNorm([between, 1, 1]), nn.ReLU(), nn.Conv2d(between, channels, 1)
        )
        nn.init.kaiming_normal_(self.mask.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.mask.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.add[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.add[-1].bias)  # type: ignore[arg-type]

    def forward(self, feature: Tensor) -> Tensor:
        shares = F.softmax(self.mask(feature).flatten(2), 2)  # (n, 1, h w)
        context = (feature.flatten(2) * shares).sum(2)[:, :, None, None]
        result: Tensor = feature + self.add(context)
        return result
