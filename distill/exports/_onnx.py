"""A graph as ONNX, and ONNX files in onnxruntime: what the formats that begin with ONNX share."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from distill.export import Graph, Runner
from distill.exports._axes import arguments, free_axes
from distill.exports._operators import translations
from distill.same_answers import check
from distill.traced import Traced

TOLERANCE = 1e-3
"""How far outputs may be from torch's, relative to the largest (**our choice**: networks of fp32 lose 1e-6 to 1e-4)."""
OPSET = 18
"""The first opset in which torch's converter writes every operator itself; onnxruntime reads it from 1.14 on."""
PACKAGES: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")


def whole(traced: Traced) -> Path:
    """The graph as ONNX in fp32, written once for all formats that begin with it, and compared with torch. Raises
    `ExportDiffers`, and what the converter raises."""
    path = traced.folder / "whole.onnx"
    if not path.exists():
        try:
            to_onnx(traced.graph, path)
            check(open_onnx(path, torch.get_num_threads()), traced.graph, traced.three(), TOLERANCE, "onnx")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def to_onnx(graph: Graph, path: Path) -> None:
    """Write `path`: one file, any size of the axes that are free."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module, arguments(graph), str(path), input_names=[*graph.tensors], output_names=[graph.output],
            dynamic_shapes=free_axes(graph), opset_version=OPSET, external_data=False, verbose=False,
            dynamo=True, custom_translation_table=translations(),
        )  # fmt: skip


def open_onnx(path: Path, threads: int) -> Runner:
    return _opened(str(path), threads)


def open_onnx_bytes(content: bytes, threads: int) -> Runner:
    """A file that lies in another one."""
    return _opened(content, threads)


def _opened(given: str | bytes, threads: int) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(given: Any) -> torch.Tensor:
        return torch.from_numpy(session.run(None, arrays(given, names))[0])

    return run


def arrays(given: Any, names: Sequence[str]) -> dict[str, Any]:
    """The graph's input as arrays by name. `names`: those that the file has."""
    named = given if isinstance(given, Mapping) else {names[0]: given}
    return {name: named[name].contiguous().numpy() for name in names}
