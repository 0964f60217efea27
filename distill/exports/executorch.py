"""ExecuTorch program (.pte) for phones and boards, computed by XNNPACK in fp32: one image a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch

from distill.export import Runner
from distill.exports._base import PIXELS, Exporter
from distill.exports._operators import refuse_own
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}


class ExecuTorch(Exporter):
    """Its memory is planned when it is written, so its batch is 1: here a batch is a call for each image."""

    ending: ClassVar[str] = ".pte"
    runtime: ClassVar[str] = "executorch"
    packages: tuple[str, ...] = ("executorch",)
    extra: ClassVar[str] = "executorch"
    use: ClassVar[tuple[str, str] | None] = (
        "import torch\nfrom executorch.runtime import Runtime",
        'network = Runtime.get().load_program("{file}").load_method("forward")\n'
        'output = network.execute([torch.from_numpy(prepare("image.png"))])[0].numpy()',
    )

    def write(self, traced: Traced, path: Path) -> list[Path]:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(traced.graph.module, (traced.graph.example[:1],))
        refuse_own(program)
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
        path.write_bytes(lowered.buffer)
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        """`threads` is that of the process: ExecuTorch has one pool."""
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        _unsafe_reset_threadpool(threads)
        network = Runtime.get().load_program(path).load_method("forward")

        def run(given: torch.Tensor) -> torch.Tensor:
            return torch.cat([network.execute([row.contiguous()])[0].clone() for row in torch.split(given, 1)])

        return run

    def facts(self) -> dict[str, Any]:
        return {"batch": 1}


ENTRY = ExecuTorch
