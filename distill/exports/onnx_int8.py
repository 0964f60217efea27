"""ONNX in int8 by onnxruntime: of pictures static, calibrated on training samples; of texts weights in blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.exports._base import PIXELS
from distill.exports._onnx import PACKAGES, to_onnx, whole
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
        "description": "Training samples from which the ranges of the activations are read. Of texts none is read.",
    },
    "calibration": {
        "type": "string",
        "enum": ["minmax", "entropy", "percentile"],
        "default": "minmax",
        "description": "How a range is read off them: its ends, the least KL divergence, or all but the rarest values.",
    },
    "quantisation_aware": {
        "type": "boolean",
        "default": False,
        "x-takes": ["tensor"],
        "description": "Train the student further, by the job's recipe, with every int8 tensor rounded as in the file.",
    },
    "quantisation_epochs": {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 5,
        "description": "Of quantisation_aware: for how many epochs.",
    },
    "quantisation_rate": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": 0.1,
        "description": "Of quantisation_aware: the peak learning rate, as a share of the job's.",
    },
}


AWARE_TOLERANCE = 0.25
"""How far the file of a student that was trained with rounding may answer from the same roundings in torch, relative to
the largest output (**our choice**: a sum that lies between two steps falls on one side in torch and on the other in the
runtime, by the order of its terms, and every layer adds some)."""
BLOCK = 32
"""Weights that share a scale (**our choice**: of the sizes that `MatMulNBits` has, the second smallest)."""
AT_ONCE = 16
"""Samples in a step of calibration, whose activations are all in memory (**our choice**: of ResNet-50 1.5 GB)."""


class OnnxInt8(Onnx):
    """Quantise and dequantise nodes (QDQ) around every operator that onnxruntime has in int8, each output channel of a
    weight with a scale of its own. Weights have 7 bits: processors without VNNI add two products of 8 bits in 16,
    which overflow, so that a file answers otherwise on one machine than on another. Activations have no sign: where
    two operators read one of them, onnxruntime makes operators of x86 in int8 of unsigned ones alone.
    The fp32 file that it is made of must be torch's
    equal; int8 itself rounds, so the test set says what it costs.

    A graph of several inputs (token ids) has its matrices in int8 with a scale for each `BLOCK` numbers, and its tables
    of embeddings with one each (`MatMulNBits`). onnxruntime rounds what it multiplies them with by as short parts of
    one token's row while it runs, so that neither a calibration nor the other texts and the padding of a batch play a
    part: **our choice** before onnxruntime's dynamic quantisation, whose range is that of the whole batch, and before
    fixed ranges, which the outliers of transformers make coarse (Bondarenko et al. 2021, arXiv 2109.12948).

    `quantisation_aware`: the graph is that of a student trained with these roundings (`distill.fake_quantised`), with
    the ranges of its training. It holds them as quantise and dequantise operators, and nothing is calibrated.
    """

    ending: ClassVar[str] = ".int8.onnx"
    tolerance: float | None = None

    @validated(PARAMETERS)
    def __init__(
        self, pixels: bool = False, calibration_samples: int = 512, calibration: str = "minmax",
        quantisation_aware: bool = False, quantisation_epochs: int = 5, quantisation_rate: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__(pixels)
        self.calibration_samples, self.calibration = calibration_samples, calibration
        self.calibrated_on = 0
        self.in_blocks = False
        self.trains, self.epochs, self.rate = quantisation_aware, quantisation_epochs, quantisation_rate
        if self.trains:
            self.tolerance, self.packages = AWARE_TOLERANCE, (*PACKAGES, "torchao")

    def name(self, network: str) -> str:
        return super().name(f"{network}.qat" if self.trains else network)

    def write(self, traced: Traced, path: Path) -> list[Path]:
        self.in_blocks = len(traced.graph.tensors) > 1
        if self.trains:
            to_onnx(traced.graph, path)
        elif self.in_blocks:
            _in_blocks(traced, path)
        else:
            self._calibrated(traced, path)
        return [path]

    def _calibrated(self, traced: Traced, path: Path) -> None:
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
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=methods[self.calibration],
            extra_options={"CalibStridedMinMax": 1}, reduce_range=True,
        )  # fmt: skip

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
        own = {"block_size": BLOCK} if self.in_blocks else {"calibrated_on": self.calibrated_on}
        return super().facts() | own


def _in_blocks(traced: Traced, path: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    tables = traced.folder / "tables.onnx"
    quantize_dynamic(str(whole(traced)), str(tables), op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    how = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    quantiser = MatMulNBitsQuantizer(onnx.load(tables), algo_config=how)
    quantiser.process()
    onnx.save(quantiser.model.model, path)


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
