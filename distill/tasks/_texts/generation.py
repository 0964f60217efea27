"""Answers of a decoder: greedy ones of some prompts at a time, and one that is told while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from distill.models.language import Tokens
from distill.models.language.config import positions
from distill.tasks.network import Network
from distill.tasks.prediction import Say, Writing

NEW_TOKENS, BATCH = 64, 16
UNFINISHED = "\ufffd"
"""What a character decodes to of which not all bytes are there."""


@torch.inference_mode()
def generate(
    network: Network, prompts: Sequence[str], device: torch.device, new_tokens: int = NEW_TOKENS
) -> tuple[list[str], int]:
    """Greedy answers, and how many tokens they have. Prompts keep their end where they are too long; answers end where
    the model's positions do."""
    tokens, module = network.tokens, network.module
    most, rows = positions(module.config), _rows(network, prompts)
    answers: list[str] = []
    made = 0
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        inputs = _left_padded(part, tokens.pad, device)
        found = cast(Any, module).generate(
            **inputs, max_new_tokens=min(new_tokens, most - inputs["input_ids"].shape[1]), do_sample=False,
            use_cache=True, num_beams=1,
            pad_token_id=tokens.pad, eos_token_id=tokens.eos,
        )  # fmt: skip
        for row in found[:, inputs["input_ids"].shape[1] :].tolist():
            row = row[: row.index(tokens.eos)] if tokens.eos in row else row
            made += len(row)
            answers.append(tokens.decode(row).strip())
    return answers, made


@torch.inference_mode()
def written(network: Network, prompt: str, device: torch.device, how: Writing, say: Say) -> tuple[str, int, bool]:
    """One answer, its tokens, and whether the network ended it itself. Each part of the text is told to `say` as soon
    as no further token changes it; together they are the answer before the space around it is cut off."""
    tokens, module = network.tokens, network.module
    inputs = _left_padded(_rows(network, [prompt]), tokens.pad, device)
    prompted = inputs["input_ids"].shape[1]
    drawn: dict[str, Any] = {"do_sample": how.temperature > 0}
    drawn |= {"temperature": how.temperature, "top_k": 0, "top_p": 1.0} if how.temperature else {}
    telling = _Telling(tokens, prompted, say)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        found = cast(Any, module).generate(
            **inputs, **drawn, max_new_tokens=min(how.max_tokens, positions(module.config) - prompted), use_cache=True,
            num_beams=1, pad_token_id=tokens.pad, eos_token_id=tokens.eos, streamer=telling,
        )  # fmt: skip
    row = found[0, prompted:].tolist()
    ended = tokens.eos in row
    row = row[: row.index(tokens.eos)] if ended else row
    return tokens.decode(row).strip(), len(row), ended


class _Telling:
    """What transformers gives each token to as it comes: its streamers' `put` and `end`. The first are the prompt's."""

    def __init__(self, tokens: Tokens, prompted: int, say: Say) -> None:
        self._tokens, self._left, self._say = tokens, prompted, say
        self._ids, self._told = list[int](), ""

    def put(self, value: Tensor) -> None:
        ids = value.flatten().tolist()
        skipped = min(self._left, len(ids))
        self._left -= skipped
        self._ids += ids[skipped:]
        if self._tokens.eos in self._ids:
            return
        text = self._tokens.decode(self._ids)
        if not text.endswith(UNFINISHED):
            self._tell(text)

    def end(self) -> None:
        ids = self._ids[: self._ids.index(self._tokens.eos)] if self._tokens.eos in self._ids else self._ids
        self._tell(self._tokens.decode(ids))

    def _tell(self, text: str) -> None:
        if text.startswith(self._told) and len(text) > len(self._told):
            self._say(text[len(self._told) :])
            self._told = text


def _rows(network: Network, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of the prompts, each cut to its end so that a token of an answer has room."""
    tokens = network.tokens
    room = min(max(1, network.preprocessing.one()["input_ids"].shape[1] - 1), positions(network.module.config) - 1)
    bos = [] if tokens.bos is None else [tokens.bos]
    return [bos + ids[-room + len(bos) :] for ids in tokens.plain(list(prompts))]


def _left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Generation goes on at the right end, so padding stands on the left."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask}
