"""PyTorch's own graph (.pt2) by torch.export: any batch; runs without the network's Python code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from distill.export import Runner
from distill.exports._axes import arguments, free_axes
from distill.exports._base import PIXELS, Exporter
from distill.exports._operators import refuse_own
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}


class TorchExport(Exporter):
    """`torch.export.load(path).module()` runs it."""

    takes: ClassVar[tuple[str, ...]] = ("tensor", "tokens")
    ending: ClassVar[str] = ".pt2"
    runtime: ClassVar[str] = "torch"
    use: ClassVar[tuple[str, str] | None] = (
        "import torch",
        'network = torch.export.load("{file}").module()\n'
        "given = [torch.from_numpy(each) for each in {given}.values()]\n"
        "with torch.inference_mode():\n    output = network(*given).numpy()",
    )

    def write(self, traced: Traced, path: Path) -> list[Path]:
        graph = traced.graph
        program = torch.export.export(graph.module, arguments(graph), dynamic_shapes=free_axes(graph))
        refuse_own(program)
        torch.export.save(program, path)
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        module = torch.export.load(path).module()

        def run(given: Any) -> torch.Tensor:
            with torch.no_grad():
                found: torch.Tensor = module(*(given.values() if isinstance(given, Mapping) else (given,)))
            return found

        return run


ENTRY = TorchExport
