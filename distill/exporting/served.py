"""An exported file in the place of its network: the task judges it as it judges any network."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from distill.export import Graph, Runner


class Served(nn.Module):
    """What evaluation shows it goes to the file's own runtime, on the CPU. What a task reads of a network beside its
    answers, such as its kind, is that of the network that the file was made of."""

    def __init__(self, run: Runner, graph: Graph, like: nn.Module) -> None:
        super().__init__()
        self._like = (like,)  # in a tuple: no part of this one, so that nothing of it is moved or counted
        self.run, self.encode, self.decode = run, graph.encode, graph.decode

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.run(self.encode(inputs.detach().cpu()))
        return self.decode(found.float()).to(inputs.device)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_like"][0], name)
