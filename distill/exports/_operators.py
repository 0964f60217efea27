"""Our own operators as ONNX has them (non-maximum suppression), and formats that cannot have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import distill.models.nms  # noqa: F401  (registers `retort::suppress`)

OWN = "retort"
"""The namespace of our operators."""


def refuse_own(program: torch.export.ExportedProgram) -> None:
    """Raises `RuntimeError` for an operator of ours: without Retort nobody can run it."""
    for node in program.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace == OWN:
            raise RuntimeError(f"{node.target} is an operator that torch alone does not have")


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """By operator of torch, as `torch.onnx.export` takes them."""
    return {torch.ops.retort.suppress.default: _suppress}


def _suppress(boxes: Any, scores: Any, overlap: float, least: float) -> Any:
    """`distill.models.nms.suppress`: ONNX gives the positions (k, 3) of those that stay, which are written into a
    tensor like the scores."""
    from onnx import TensorProto
    from onnxscript import opset18

    op: Any = opset18  # its own types know values, and these are names of values
    shape = op.Shape(scores)
    most = op.Gather(shape, op.Constant(value_ints=[2]))
    limits = (op.Constant(value_floats=[value]) for value in (overlap, least))
    kept = op.NonMaxSuppression(boxes, scores, most, *limits)
    count = op.Slice(op.Shape(kept), op.Constant(value_ints=[0]), op.Constant(value_ints=[1]))
    nothing, ones = (op.Expand(op.Constant(value_float=v), s) for v, s in ((0.0, shape), (1.0, count)))
    return op.Cast(op.ScatterND(nothing, kept, ones), to=TensorProto.BOOL)
