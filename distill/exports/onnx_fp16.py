"""ONNX in fp16: half the bytes; inputs and outputs stay fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from distill.exports._base import PIXELS
from distill.exports._onnx import whole
from distill.exports.onnx import Onnx
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}


class OnnxFp16(Onnx):
    """Weights and operators in fp16 by onnxruntime's converter, which leaves those in fp32 that fp16 does not hold.

    An fp16 number has 11 bits: **our choice** of 5 % of the largest output is ten times what a ResNet loses by them.
    """

    ending: ClassVar[str] = ".fp16.onnx"
    tolerance: float | None = 5e-2

    def write(self, traced: Traced, path: Path) -> list[Path]:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(whole(traced)), keep_io_types=True), path)
        return [path]


ENTRY = OnnxFp16
