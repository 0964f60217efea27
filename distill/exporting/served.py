"""An exported file in the place of its network: the task judges it as it judges any network."""

from __future__ import annotations

from torch import Tensor, nn

from distill.export import Graph, Runner


class Served(nn.Module):
    """What evaluation shows it goes to the file's own runtime, on the CPU."""

    def __init__(self, run: Runner, graph: Graph) -> None:
        super().__init__()
        self.run, self.encode, self.decode = run, graph.encode, graph.decode

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.run(self.encode(inputs.detach().cpu()))
        return self.decode(found.float()).to(inputs.device)
