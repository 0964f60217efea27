"""Instruction following as a run drives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from distill.answers.base import Guess
from distill.evaluate import Predictions
from distill.layers import SequenceView
from distill.layers.sequence import Reads
from distill.modalities.text import TokenSamples
from distill.tasks._texts.delivery import DecoderDelivery
from distill.tasks._texts.task import TextTask
from distill.tasks.base import Groups, Report
from distill.tasks.generate_text import SPEC
from distill.tasks.generate_text.answer import TokenAnswer
from distill.tasks.generate_text.answering import answering, perplexity
from distill.tasks.network import Network
from distill.types import RunSpec


class GenerateText(TextTask):
    """An answer to an instruction or a conversation; every token of it is one prediction."""

    spec, kind = SPEC, "generate"
    checked_samples = 64
    delivery = DecoderDelivery(SPEC.name)

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        self.answer = TokenAnswer(run.config.label_smoothing)
        super().__init__(run, scratch)

    def default_reads(self, config: Any) -> tuple[Reads, str]:
        return "tokens", "every token of the answers"

    def guess(self, samples: TokenSamples, indices: Tensor) -> Guess | None:
        """Of every token of the answers."""
        assert samples.prompts is not None
        found: list[int] = []
        for i in indices.tolist():
            start, length, prompt = (int(values[i]) for values in (samples.starts, samples.lengths, samples.prompts))
            found += samples.ids[start + max(prompt, 1) : start + length].tolist()
        return Guess.of(found)

    def groups(self, network: Network) -> Groups | str:
        """One row a prompt alone, which the labels describe; where single tokens are distilled its last token, since
        only that has seen the whole prompt (**our choice**)."""
        if len(self.classes) < 2:
            return "Q compares classes, and these instructions have no column `label` with two or more"
        samples = self.samples("train", network)
        assert samples.prompts is not None
        prompts = replace(samples, lengths=samples.prompts, prompts=None)
        return self.grouped(network, prompts, SequenceView("last") if self.view.per_token else self.view)

    def metrics(self, values: Mapping[str, float]) -> dict[str, float]:
        return {"perplexity": perplexity(values["loss"])}

    def figures(self, network: Network, found: Predictions, teacher: Any | None) -> Report:
        pairs = [self.dataset.test.pairs[i] for i in self.splits.test.tolist()]
        return super().figures(network, found, teacher) | answering(network, found.loss, pairs, self.device)


ENTRY = GenerateText
