"""What is exported: a trained network with what its files are held against, each computed once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill import offload
from distill.evaluate import latency
from distill.export import Context, Graph
from distill.layers.forward import to_device
from distill.tasks.base import Report, Split, Task
from distill.tasks.network import Network
from distill.traced import Traced

BATCHES = (1, 32)
"""Batch sizes of which the latency is told."""


@dataclass(frozen=True)
class Subject:
    """`context`: what exporters are given of the network. `scratch`: a folder of the run's own."""

    task: Task
    network: Network
    context: Context
    scratch: Path

    @cached_property
    def _traced(self) -> dict[tuple[bool, bool], Traced]:
        return {}

    def traced(self, pixels: bool = False, suppression: bool = False) -> Traced:
        """Each made once. `pixels`: whether the graph takes raw samples; `suppression`: whether it ends with an answer
        for people. Raises `distill.export.Skipped`."""
        kind = pixels, suppression
        if kind not in self._traced:
            delivery, context = self.context.delivery, self.context
            graph = delivery.suppressed(context) if suppression else delivery.graph(context)
            own = _in_fp32(delivery.of_pixels(context, graph) if pixels else graph)
            folder = self.scratch / f"{context.name}-{pixels:d}{suppression:d}"
            folder.mkdir(parents=True, exist_ok=True)
            page = delivery.page(context, own)
            self._traced[kind] = Traced(own, lambda count: self.samples(own, count), folder, page)
        return self._traced[kind]

    def inputs(self, split: Split, indices: Tensor) -> Iterator[Any]:
        """Samples of a split as evaluation shows them, on the CPU, in batches."""
        if len(indices):
            for batch in self.task.plain_loader(split, indices, self.network).epoch(0):
                yield to_device(batch.student, torch.device("cpu"))

    def samples(self, graph: Graph, count: int) -> Iterator[Any]:
        """The graph's inputs of `count` training samples, drawn by the run's seed."""
        train = self.task.splits.train
        generator = torch.Generator().manual_seed(self.task.config.seed)
        drawn = train[torch.randperm(len(train), generator=generator)[:count].sort().values]
        return (graph.encode(batch) for batch in self.inputs("train", drawn))

    @cached_property
    def answers(self) -> Any | None:
        """Torch's on the test set; None where the task's samples have no labels to be judged by."""
        if not self.task.answer.taught:
            return None
        found = self.task.predict(self.network)
        offload.take_back(self.network.module)  # evaluation took it to the run's device
        return found

    @cached_property
    def figures(self) -> Report:
        return {} if self.answers is None else self.task.figures(self.network, self.answers, None)

    @cached_property
    def latency(self) -> Report:
        """Of torch in eager mode, by batch size."""
        return latencies(self.network, self.traced().graph.module)


def latencies(network: Network, module: torch.nn.Module) -> Report:
    """By batch size: `distill.evaluate.latency` of one pass, on the CPU, with this process's threads."""
    cpu = torch.device("cpu")
    return {str(count): latency(module, network.example(count, cpu)) for count in BATCHES}


def _in_fp32(graph: Graph) -> Graph:
    """The same on the CPU; the network that it came from stays where it is."""
    module = copy.deepcopy(graph.module).cpu().float().eval()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return replace(graph, module=module.requires_grad_(requires_grad=False))
