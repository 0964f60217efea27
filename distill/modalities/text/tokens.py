"""Texts as token ids: encoded once, kept without padding, cut to one maximal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

IGNORED = -100
"""The label of a position that is not to be predicted, torch's own default."""
MULTIPLE = 8  # lengths are rounded up to this: matrix units like it, and there are fewer shapes
MOST = 512
SHARE = 0.99
_CHUNK = 2048


class Encoder(Protocol):
    """`distill.models.language.Tokens`, as far as it is needed here."""

    pad: int
    bos: int | None
    eos: int | None

    def encode(self, samples: Sequence[tuple[str, str | None]], max_length: int) -> list[Any]: ...
    def plain(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True)
class TokenSamples:
    """`ids` (all tokens, flat) int32, `starts` (n), `lengths` (n); `segments` flat or None; `prompts` (n): how many
    tokens of each are prompt (None for labelled texts); `labels` (n); `cut` (n): whether it was too long."""

    ids: Tensor
    starts: Tensor
    lengths: Tensor
    segments: Tensor | None
    prompts: Tensor | None
    labels: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def begins(self) -> Tensor | None:
        """(n): the position that predicts the answer's first token; nothing before it is trained. None: all counts."""
        return None if self.prompts is None else (self.prompts - 1).clamp(min=0)

    @property
    def truncated(self) -> float:
        """Share of samples that were cut."""
        return float(self.cut.double().mean())


def tokenise(
    pairs: Sequence[tuple[str, str | None]], labels: Tensor, encoder: Encoder, max_length: int, generate: bool = False
) -> TokenSamples:
    """Encode all texts, each cut to `max_length` tokens.

    `generate`: the pairs are prompt and answer: [bos] prompt answer [eos]. **Our choice** where that is too long: the
    prompt keeps its end and at least half of the length, or all it needs; the answer keeps its beginning.
    """
    rows = _exchanges(pairs, encoder, max_length) if generate else _texts(pairs, encoder, max_length)
    lengths = torch.tensor([len(ids) for ids, _, _, _ in rows])
    segments = [segment for _, segment, _, _ in rows]
    return TokenSamples(
        ids=_flat([ids for ids, _, _, _ in rows]),
        starts=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)[:-1]]),
        lengths=lengths,
        segments=_flat(segments) if any(segments) else None,
        prompts=torch.tensor([prompt for _, _, prompt, _ in rows]) if generate else None,
        labels=labels,
        cut=torch.tensor([cut for _, _, _, cut in rows]),
    )


def _flat(rows: Sequence[list[int]]) -> Tensor:
    """int32: four bytes a token, whatever the size of the data."""
    return torch.from_numpy(np.concatenate([np.asarray(row, np.int32) for row in rows]))


_Row = tuple[list[int], list[int], int, bool]  # ids, segments, prompt length, whether it was cut


def _texts(pairs: Sequence[tuple[str, str | None]], encoder: Encoder, max_length: int) -> list[_Row]:
    rows: list[_Row] = []
    for start in range(0, len(pairs), _CHUNK):
        for one in encoder.encode(pairs[start : start + _CHUNK], max_length):
            rows.append((one.ids, one.segments, 0, one.whole > max_length))
    return rows


def _exchanges(pairs: Sequence[tuple[str, str | None]], encoder: Encoder, max_length: int) -> list[_Row]:
    rows: list[_Row] = []
    for start in range(0, len(pairs), _CHUNK):
        part = pairs[start : start + _CHUNK]
        prompts, answers = encoder.plain([p for p, _ in part]), encoder.plain([a or "" for _, a in part])
        rows += [_exchange(p, a, encoder, max_length) for p, a in zip(prompts, answers, strict=True)]
    return rows


def _exchange(prompt: list[int], answer: list[int], encoder: Encoder, max_length: int) -> _Row:
    prompt = ([encoder.bos] if encoder.bos is not None else []) + prompt
    answer = answer + ([encoder.eos] if encoder.eos is not None else [])
    whole = len(prompt) + len(answer)
    if whole > max_length:
        room = max(max_length // 2, max_length - len(answer))
        prompt = prompt[-room:]
        answer = answer[: max_length - len(prompt)]
    return prompt + answer, [], len(prompt), whole > max_length


def choose_length(pairs: Sequence[tuple[str, str | None]], encoder: Encoder, most: int, generate: bool) -> int:
    """The maximal length for `auto`: the 99th percentile of the training texts' tokens, rounded up to a multiple of 8,
    at most 512 and at most what the model can (**our choice**)."""
    found = tokenise(pairs, torch.zeros(len(pairs), dtype=torch.int64), encoder, 10**9, generate)
    share = float(found.lengths.double().quantile(SHARE, interpolation="higher"))
    rounded = -(-int(share) // MULTIPLE) * MULTIPLE
    return max(MULTIPLE, min(rounded, MOST, most))
