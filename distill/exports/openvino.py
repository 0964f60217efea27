"""OpenVINO IR (.xml and .bin) in fp32, from ONNX: any batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch

from distill.export import Runner
from distill.exports._base import PIXELS, Exporter
from distill.exports._onnx import OPSET, PACKAGES, arrays, whole
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}


class OpenVino(Exporter):
    """Compared and measured in fp32: by default OpenVINO computes in bf16 where the processor has it."""

    takes: ClassVar[tuple[str, ...]] = ("tensor", "tokens")
    ending: ClassVar[str] = ".openvino.xml"
    runtime: ClassVar[str] = "openvino"
    packages: tuple[str, ...] = (*PACKAGES, "openvino")
    use: ClassVar[tuple[str, str] | None] = (
        "import openvino",
        'network = openvino.Core().compile_model("{file}", "CPU")\noutput = network({given})[0]',
    )

    def write(self, traced: Traced, path: Path) -> list[Path]:
        import openvino

        openvino.save_model(openvino.convert_model(whole(traced)), path, compress_to_fp16=False)
        return [path, path.with_suffix(".bin")]

    def open(self, path: Path, threads: int) -> Runner:
        import openvino

        wanted = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
        compiled = openvino.Core().compile_model(path, "CPU", wanted)
        names = [each.any_name for each in compiled.inputs]

        def run(given: Any) -> torch.Tensor:
            return torch.from_numpy(compiled(arrays(given, names))[0].copy())

        return run

    def facts(self) -> dict[str, Any]:
        return {"opset": OPSET}


ENTRY = OpenVino
