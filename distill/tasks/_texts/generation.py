"""Greedy answers of a decoder, some prompts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from distill.models.language.config import positions
from distill.tasks.network import Network

NEW_TOKENS, BATCH = 64, 16


@torch.inference_mode()
def generate(
    network: Network, prompts: Sequence[str], device: torch.device, new_tokens: int = NEW_TOKENS
) -> tuple[list[str], int]:
    """Greedy answers, and how many tokens they have. Prompts keep their end where they are too long; answers end where
    the model's positions do."""
    tokens, module = network.tokens, network.module
    most = positions(module.config)
    room = min(max(1, network.preprocessing.one()["input_ids"].shape[1] - 1), most - 1)
    bos = [] if tokens.bos is None else [tokens.bos]
    rows = [bos + ids[-room + len(bos) :] for ids in tokens.plain(list(prompts))]
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


def _left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Generation goes on at the right end, so padding stands on the left."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask}
