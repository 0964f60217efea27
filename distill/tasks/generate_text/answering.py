"""What a decoder is worth on instructions: perplexity of the answers, ROUGE-L of its own, tokens a second."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from distill.tasks._texts.generation import BATCH, generate
from distill.tasks.network import Network

PROMPTS = 100


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
