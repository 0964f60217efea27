"""What a format is written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from distill.export import Graph

Samples = Callable[[int], Iterator[Tensor]]
"""Batches of the graph's input, made of that many training samples or of all that there are."""


@dataclass(frozen=True)
class Traced:
    """A graph, training samples for it, and a folder for what several formats are made of."""

    graph: Graph
    samples: Samples
    folder: Path
