"""Attention heads and hidden units of a block, cut out of a larger block of the same family and width.

Importance of a head or unit c, over the tensors w of the block that lose it: the mean of ||w[c]||_2, each tensor's
divided by their mean over c, as of pruned networks of pictures (`distill.models.pruning`). The most important stay, in
their order. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.models.language.config import family_of

Block = Mapping[str, Tensor]
"""The tensors of one block, by their names within it."""
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a block can have fewer of: `heads` query heads on `key_heads` key and value heads, each `head_width` wide,
    and `inner` hidden units."""

    heads: int
    key_heads: int
    head_width: int
    inner: int

    @classmethod
    def of(cls, config: Any) -> Sizes:
        heads = int(config.num_attention_heads)
        wide = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
        inner = getattr(config, family_of(config).inner, None) or 4 * config.hidden_size  # GPT-2's may be left out
        return cls(heads, int(getattr(config, "num_key_value_heads", None) or heads), wide, int(inner))


def key_heads(before: Sizes, heads: int) -> int | None:
    """So few key and value heads of `before` serve `heads` query heads, each as many, and none more than it did; None
    where no number does."""
    most = before.heads // before.key_heads
    fit = (n for n in range(1, before.key_heads + 1) if heads % n == 0 and heads // n <= most)
    return next(fit, None)


def cut(source: Block, before: Sizes, after: Sizes, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Those tensors of `source` that become as `shapes` says when a block of sizes `before` is cut to `after`; others
    are left out."""
    known = {name: shape for name, shape in shapes.items() if name in source and source[name].dim() == len(shape)}
    losing = [
        Losing(name, dim, source[name])
        for name, shape in known.items()
        for dim, size in enumerate(shape)
        if size != source[name].shape[dim]
    ]
    kept = _attention(losing, before, after) | _units(losing, before, after)
    found = dict[str, Tensor]()
    for name, shape in known.items():
        tensor = source[name]
        for each in losing:
            if each.name == name and each.place in kept:
                tensor = tensor.index_select(each.dim, kept[each.place].to(tensor.device))
        if tensor.shape == shape:
            found[name] = tensor
    return found


@dataclass(frozen=True, slots=True)
class Losing:
    """A dimension of a tensor that becomes shorter."""

    name: str
    dim: int
    tensor: Tensor

    @property
    def long(self) -> int:
        return int(self.tensor.shape[self.dim])

    @property
    def attends(self) -> bool:
        """Whether the tensor belongs to the attention and not to the feed-forward part."""
        return "attn" in self.name or "attention" in self.name

    @property
    def place(self) -> tuple[bool, int]:
        """What says which of its channels stay."""
        return self.attends, self.long


Kept = dict[tuple[bool, int], Tensor]
"""`Losing.place` -> the channels that stay."""


def _attention(losing: Sequence[Losing], before: Sizes, after: Sizes) -> Kept:
    """The best key heads, counting the queries that they serve, and of each its best queries."""
    if after.head_width != before.head_width or after.heads > before.heads:
        return {}
    wide, found = before.head_width, [each for each in losing if each.attends]
    of_queries = [each for each in found if each.long == before.heads * wide]
    of_keys = [each for each in found if each.long == before.key_heads * wide]
    groups = _importance(of_queries, before.heads).view(before.key_heads, -1)
    keys = (groups.mean(1) + _importance(of_keys, before.key_heads)) / 2
    stay = _best(keys, after.key_heads)
    each = after.heads // after.key_heads
    queries = torch.cat([_best(groups[key], each) + key * groups.shape[1] for key in stay.tolist()])
    lasting = {before.key_heads * wide: stay, before.heads * wide: queries}  # where all have their own, they are one
    return {(True, long): _channels(numbers, wide) for long, numbers in lasting.items()}


def _units(losing: Sequence[Losing], before: Sizes, after: Sizes) -> Kept:
    """The best hidden units. Gated ones lie behind their gates in one matrix: there it is twice as long."""
    found = [each for each in losing if not each.attends and each.long % before.inner == 0]
    if after.inner >= before.inner or not found:
        return {}
    stay = _best(_importance(found, before.inner, inner=True), after.inner)
    folds = {each.long: each.long // before.inner for each in found}
    return {
        (False, long): torch.cat([stay + turn * before.inner for turn in range(times)]) for long, times in folds.items()
    }


def _importance(losing: Iterable[Losing], count: int, inner: bool = False) -> Tensor:
    """Of `count` heads, or `inner` units, whose channels lie as a tensor's parts one behind another; equal where no
    tensor loses any."""
    found = list[Tensor]()
    for each in losing:
        times = each.long // count if inner else 1
        rows = each.tensor.detach().float().cpu().movedim(each.dim, 0).reshape(times, count, -1)
        norms = rows.movedim(0, 1).reshape(count, -1).norm(dim=1)
        found.append(norms / norms.mean().clamp_min(TINY))
    return torch.stack(found).mean(0) if found else torch.ones(count)


def _best(importance: Tensor, count: int) -> Tensor:
    return torch.argsort(importance, descending=True, stable=True)[:count].sort().values


def _channels(numbers: Tensor, wide: int) -> Tensor:
    return (numbers[:, None] * wide + torch.arange(wide)).flatten()
