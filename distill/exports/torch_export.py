"""PyTorch's own graph (.pt2) by torch.export: any batch; runs without the network's Python code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch

from distill.export import Runner
from distill.exports._base import PIXELS, Exporter
from distill.exports._operators import refuse_own
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}


class TorchExport(Exporter):
    """`torch.export.load(path).module()` runs it."""

    ending: ClassVar[str] = ".pt2"
    runtime: ClassVar[str] = "torch"
    use: ClassVar[tuple[str, str] | None] = (
        "import torch",
        'network = torch.export.load("{file}").module()\n'
        'with torch.inference_mode():\n    output = network(torch.from_numpy(prepare("image.png"))).numpy()',
    )

    def write(self, traced: Traced, path: Path) -> list[Path]:
        program = torch.export.export(
            traced.graph.module, (traced.graph.example,), dynamic_shapes=({0: torch.export.Dim("n")},)
        )
        refuse_own(program)
        torch.export.save(program, path)
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        module = torch.export.load(path).module()

        def run(given: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                found: torch.Tensor = module(given)
            return found

        return run


ENTRY = TorchExport
