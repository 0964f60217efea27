"""ONNX in int8: static quantisation by onnxruntime, weights per channel, calibrated on training samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
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


AT_ONCE = 16
"""Samples in a step of calibration, whose activations are all in memory (**our choice**: of ResNet-50 1.5 GB)."""


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
            extra_options={"CalibStridedMinMax": 1},
        )  # fmt: skip
        return [path]

    def _reader(self, traced: Traced) -> Any:
        """onnxruntime's reader. Raises `InvalidConfig` where there is no sample."""
        batches = [part for batch in traced.samples(self.calibration_samples) for part in torch.split(batch, AT_ONCE)]
        self.calibrated_on = sum(map(len, batches))
        if not self.calibrated_on:
            raise InvalidConfig(
                "There is no training sample to calibrate int8 on.",
                "Use a dataset with training samples, or a format without calibration.",
                {"field": "calibration_samples"},
            )
        return Reader(batches, traced.graph.input)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"calibrated_on": self.calibrated_on}


class Reader:
    """onnxruntime's `CalibrationDataReader`. It is read range by range: what a range gives lies in memory together, and
    a histogram's batches must have one size, so a range is one batch (stride 1, of whichever calibration)."""

    def __init__(self, batches: Sequence[Tensor], name: str) -> None:
        self._batches, self._name, self._range = batches, name, iter(batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._range = iter(self._batches[start_index:end_index])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._range, None)
        return None if batch is None else {self._name: batch.numpy()}


ENTRY = OnnxInt8
