"""ONNX in int8: static quantisation by onnxruntime, weights per channel, calibrated on training samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from distill.errors import InvalidConfig
from distill.exports._base import PIXELS
from distill.exports._onnx import whole
from distill.exports.onnx import Onnx
from distill.parameters import validated
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {
    **PIXELS,
    "calibration_samples": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100_000,
        "default": 512,
        "description": "Training samples from which the ranges of the activations are read.",
    },
    "calibration": {
        "type": "string",
        "enum": ["minmax", "entropy", "percentile"],
        "default": "minmax",
        "description": "How a range is read off them: its ends, the least KL divergence, or all but the rarest values.",
    },
}


class OnnxInt8(Onnx):
    """Quantise and dequantise nodes (QDQ) around every operator that onnxruntime has in int8, weights and activations
    signed, each output channel of a weight with a scale of its own. The fp32 file that it is made of must be torch's
    equal; int8 itself rounds, so the test set says what it costs."""

    ending: ClassVar[str] = ".int8.onnx"
    tolerance: ClassVar[float | None] = None

    @validated(PARAMETERS)
    def __init__(self, pixels: bool = False, calibration_samples: int = 512, calibration: str = "minmax") -> None:
        super().__init__(pixels)
        self.calibration_samples, self.calibration = calibration_samples, calibration
        self.calibrated_on = 0

    def write(self, traced: Traced, path: Path) -> list[Path]:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        methods = {
            "minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }  # fmt: skip
        prepared = traced.folder / "prepared.onnx"
        quant_pre_process(str(whole(traced)), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(path), self._reader(traced), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, calibrate_method=methods[self.calibration],
        )  # fmt: skip
        return [path]

    def _reader(self, traced: Traced) -> Any:
        """onnxruntime's reader. Raises `InvalidConfig` where there is no sample."""
        from onnxruntime.quantization import CalibrationDataReader

        batches = list(traced.samples(self.calibration_samples))
        self.calibrated_on = sum(map(len, batches))
        if not self.calibrated_on:
            raise InvalidConfig(
                "There is no training sample to calibrate int8 on.",
                "Use a dataset with training samples, or a format without calibration.",
                {"field": "calibration_samples"},
            )
        return type("Reader", (CalibrationDataReader,), {"get_next": _next_of(iter(batches), traced.graph.input)})()

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"calibrated_on": self.calibrated_on}


def _next_of(batches: Iterator[Tensor], name: str) -> Any:
    def get_next(reader: Any) -> dict[str, Any] | None:
        batch = next(batches, None)
        return None if batch is None else {name: batch.numpy()}

    return get_next


ENTRY = OnnxInt8
