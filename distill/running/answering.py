"""What a decoder is worth on instructions: perplexity of the answers, ROUGE-L of its own, tokens a second."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill.models.language.config import positions
from distill.running.prepare import Network

PROMPTS, NEW_TOKENS, BATCH = 100, 64, 16


def answering(
    network: Network, loss: float, pairs: Sequence[tuple[str, str | None]], device: torch.device
) -> dict[str, Any]:
    """`perplexity` = exp(mean cross-entropy of the answers' tokens, nats); `rouge_l`: mean F-measure of ROUGE-L
    (rouge-score, no stemming) of greedy answers of at most 64 tokens to the first 100 test prompts (**our choice**),
    with their number n; `tokens_per_second` of that generation, `batch_size` prompts at a time."""
    from rouge_score.rouge_scorer import RougeScorer

    shown = pairs[:PROMPTS]
    start = time.perf_counter()
    answers, made = generate(network, [prompt for prompt, _ in shown], device)
    seconds = time.perf_counter() - start
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    both = zip(shown, answers, strict=True)
    scores = [scorer.score(wanted or "", answer)["rougeL"].fmeasure for (_, wanted), answer in both]
    return {
        "perplexity": perplexity(loss),
        "rouge_l": {"value": sum(scores) / len(scores), "n": len(scores)},
        "generation": {"tokens_per_second": made / max(seconds, 1e-9), "tokens": made, "batch_size": BATCH},
    }


def perplexity(loss: float) -> float:
    """exp(loss in nats), as far as it is a number."""
    return math.exp(min(loss, 700.0))


@torch.inference_mode()
def generate(
    network: Network, prompts: Sequence[str], device: torch.device, new_tokens: int = NEW_TOKENS
) -> tuple[list[str], int]:
    """Greedy answers, and how many tokens they have. Prompts keep their end where they are too long; answers end where
    the model's positions do."""
    tokens, module = network.tokens, network.module
    most = positions(module.config)
    room = min(max(1, network.preprocessing.one()["input_ids"].shape[1] - 1), most - 1)  # type: ignore[index]
    bos = [] if tokens.bos is None else [tokens.bos]
    rows = [bos + ids[-room + len(bos) :] for ids in tokens.plain(list(prompts))]
    answers: list[str] = []
    made = 0
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        inputs = _left_padded(part, tokens.pad, device)
        found = module.generate(  # type: ignore[operator]
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
