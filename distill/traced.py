"""What a format is written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.layers.forward import alone, batch_size, replace_tensors, together

Samples = Callable[[int], Iterator[Any]]
"""Batches of the graph's input, made of that many training samples or of all that there are."""


@dataclass(frozen=True)
class Traced:
    """A graph, training samples for it, and a folder for what several formats are made of. `page`: what a page in a
    browser is told of the network (`distill.export.Delivery.page`), None where it has none."""

    graph: Any
    samples: Samples
    folder: Path
    page: Mapping[str, Any] | None = None

    def three(self) -> Any:
        """The graph's input of three training samples; of fewer some come again, of none the example."""
        rows = together([one for batch in ([*self.samples(3)] or [self.graph.example]) for one in alone(batch)])
        at = torch.arange(3) % (batch_size(rows) or 1)
        return replace_tensors(rows, lambda tensor: tensor[at])
