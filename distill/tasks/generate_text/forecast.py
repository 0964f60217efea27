"""What is known of a job before it runs: only decoders answer, and every token of a batch has logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distill.estimate import SampleWork
from distill.tasks.forecast import Misfit, Parts
from distill.tasks.generate_text import SPEC
from distill.tasks.text_forecast import ALIVE, EVALUATION_BATCH, TextForecast, features, kept_bytes, lengths, widest

EVALUATION_LOGIT_BYTES = 2**28
#: ROUGE's answers: how many, how long, and how much slower a token is alone than among those of a text (our choice).
ANSWERS, ANSWER_TOKENS, ONE_BY_ONE = 100, 64, 5


class Decoders(TextForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        if not (parts.teacher or {}).get("generates", True):
            yield Misfit(
                "/teacher",
                "The dataset holds instructions; the teacher is an encoder, which cannot answer.",
                "Use a decoder (OPT, Llama, GPT-2, Qwen).",
                "kinds_differ",
            )
        yield from super().misfits(parts)

    def headed(self, parts: Parts) -> bool:
        return True

    def work(self, parts: Parts, counted: Mapping[str, Mapping[str, Any]], tested: int) -> SampleWork:
        """A recipe is taken to keep the teacher's logits when its name says so (our choice)."""
        student, mean = counted["student"], lengths(parts.dataset, parts.config).mean
        one, most = 4 * student["vocabulary"], student["max_length"]
        batch = max(1, min(tested, EVALUATION_BATCH, EVALUATION_LOGIT_BYTES // (one * most)))
        keeps = "teacher" in counted and "logit" in parts.config.recipe
        return SampleWork(
            kept_bytes(parts),
            features(counted),
            logit_bytes=parts.config.batch_size * most * one,
            cached_logit_bytes=mean * one if keeps else 0,
            evaluation_bytes=ALIVE * batch * widest(counted),
            generated=ONE_BY_ONE * min(tested, ANSWERS) * ANSWER_TOKENS / mean,
        )


ENTRY = Decoders(SPEC.name)
