"""Instruction following as a run drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.answers.base import Guess
from distill.disagreement import Apart, Look
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
from distill.tasks.generate_text.apart import APART, LOOKED_AT, answers_of, divergences
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

    def apart(self, student: Any, teacher: Any) -> Apart | None:
        """Mean over an answer's tokens of KL(teacher || student), nats; of at most `LOOKED_AT` test samples, which are
        drawn at even distances."""
        assert self.teacher is not None
        test = self.splits.test
        places = torch.linspace(0, len(test) - 1, min(LOOKED_AT, len(test))).round().long()
        source = self.plain(self.samples("test", self.student), test[places], self.student)
        scores = divergences(self.student, self.teacher, source, self.answer, self.device)

        def look(wanted: Sequence[int]) -> list[Look]:
            positions = [int(test[places[each]]) for each in wanted]
            prompts = [self.dataset.test.pairs[position][0] for position in positions]
            both = {"student": self.student, "teacher": self.teacher}
            said = {name: answers_of(each, prompts) for name, each in both.items() if each is not None}
            return [
                self.sight(position).telling({name: {"text": texts[i]} for name, texts in said.items()})
                for i, position in enumerate(positions)
            ]

        return Apart(scores, "divergence", APART, test[places], look)

    def figures(self, network: Network, found: Predictions, teacher: Any | None) -> Report:
        pairs = [self.dataset.test.pairs[i] for i in self.splits.test.tolist()]
        return super().figures(network, found, teacher) | answering(network, found.loss, pairs, self.device)


ENTRY = GenerateText
