"""Text classification as a run drives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from distill.answers import ClassAnswer
from distill.layers import SequenceView
from distill.layers.sequence import Reads
from distill.models.language.config import head_reads
from distill.tasks._texts.delivery import ClassifierDelivery
from distill.tasks._texts.task import TextTask
from distill.tasks.base import Groups, Report
from distill.tasks.classify_text import SPEC
from distill.tasks.linear_probe import linear_probe
from distill.tasks.network import Network
from distill.tasks.probe_set import ProbeSet
from distill.types import Layer, RunSpec


class ClassifyText(TextTask):
    """One class a text, or a pair of texts."""

    spec, kind = SPEC, "classify"
    delivery = ClassifierDelivery(SPEC.name)

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        self.answer = ClassAnswer()
        super().__init__(run, scratch)

    def default_reads(self, config: Any) -> tuple[Reads, str]:
        reads = cast(Reads, head_reads(config))
        return reads, f"what the classification head reads: {reads}"

    def groups(self, network: Network) -> Groups:
        """One row a text: what the view reads of it, the mean where that is single tokens (**our choice**)."""
        view = SequenceView("mean") if self.view.per_token else self.view
        return self.grouped(network, self.samples("train", network), view)

    def worth(self, network: Network, layer: Layer) -> Report:
        return linear_probe(ProbeSet.of(self), network, layer)


ENTRY = ClassifyText
