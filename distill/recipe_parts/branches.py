"""Branches that carry a student's feature to logits, as in Hao840/OFAKD (`distillers/ofa.py`)."""

from __future__ import annotations

from torch import Tensor, nn

from distill.recipe_parts.layout import Layout

HEADS = 4


class Branch(nn.Module):
    """A feature (n, *layout) to logits (n, outputs).

    A map goes through `after` separable convolutions of stride 2, one for each chosen layer that follows, which double
    the channels; the last of them gives the larger of both networks' deepest `widths` (student's, teacher's), as does a
    1x1 convolution where none follows. Then the mean over positions and a linear map. Tokens go through as many
    transformer blocks, at least one, of the student's deepest width, then the mean over tokens and a linear map.
    **Our choices**: tokens are not merged, a linear map brings another width to the deepest, and class tokens are
    averaged with the others, where the authors' branches read the class token alone.
    """

    def __init__(self, layout: Layout, after: int, widths: tuple[int, int], outputs: int) -> None:
        super().__init__()
        self.layout = layout
        width = max(widths) if layout.is_map else widths[0]
        layers = _map_layers(layout.channels, after, width) if layout.is_map else _blocks(layout.channels, after, width)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)
        self.apply(_begin)

    def forward(self, feature: Tensor) -> Tensor:
        given = self.layers(self.layout.canonise(feature))
        logits: Tensor = self.head(given.mean((2, 3) if self.layout.is_map else 1))
        return logits


def _map_layers(channels: int, after: int, width: int) -> list[nn.Module]:
    if not after:
        return [nn.Conv2d(channels, width, 1)]
    ins = [channels * 2**i for i in range(after)]
    return [separable(c_in, c_out) for c_in, c_out in zip(ins, [*ins[1:], width], strict=True)]


def separable(c_in: int, c_out: int) -> nn.Sequential:
    """Depthwise 3x3 of stride 2 and pointwise, then depthwise 3x3 and pointwise to `c_out`, BN and ReLU after each."""

    def half(c: int, stride: int) -> list[nn.Module]:
        depthwise = nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False)
        return [depthwise, nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]

    return nn.Sequential(*half(c_in, 2), *half(c_out, 1))


def _blocks(channels: int, after: int, width: int) -> list[nn.Module]:
    heads = next(count for count in range(HEADS, 0, -1) if width % count == 0)
    bridge = [nn.Linear(channels, width)] if channels != width else []
    return [*bridge, *(_block(width, heads) for _ in range(max(after, 1)))]


def _block(width: int, heads: int) -> nn.Module:
    """Pre-norm, GELU, inner width four times as large, no dropout."""
    return nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)


def _begin(module: nn.Module) -> None:
    """The authors' first weights."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
