"""An exported file in the place of its network: the task judges it as it judges any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distill.layers.forward import tensors, to_device

if TYPE_CHECKING:
    from distill.export._base import Graph, Runner


class Served(nn.Module):
    """What evaluation shows it goes to the file's own runtime, on the CPU. What a task reads of a network beside its
    answers, such as its kind, is that of the network that the file was made of, unless the graph
    names a kind of its own."""

    def __init__(self, run: Runner, graph: Graph, like: nn.Module) -> None:
        super().__init__()
        self._like = (like,)  # in a tuple: no part of this one, so that nothing of it is moved or counted
        self.run, self.encode, self.decode = run, graph.encode, graph.decode
        if graph.answers:
            self.answers = graph.answers

    def forward(self, *given: Tensor, **named: Tensor) -> Tensor:
        """The only input, or several by name."""
        inputs: Any = named or given[0]
        found = self.run(self.encode(to_device(inputs, torch.device("cpu"))))
        return self.decode(found.float()).to(next(tensors(inputs)).device)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_like"][0], name)
