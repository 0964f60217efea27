"""The student as ONNX, for runtimes other than PyTorch (needs the packages onnx and onnxscript)."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path

import torch

from distill.export._base import Artifact, Context, Skipped

NEEDS = ("onnx", "onnxscript")


def export(context: Context, folder: Path) -> list[Artifact]:
    """Of the student and of every network that is delivered beside it."""
    written = [_exported(context, folder)]
    for network in context.companions:
        try:
            written.append(_exported(network, folder))
        except Skipped as skipped:
            raise Skipped(f"of the {network.name} network, {skipped}", written) from skipped
    return written


def _exported(context: Context, folder: Path) -> Artifact:
    """`student.onnx`, as `Delivery.graph` has it: of pictures, input `image` (n, c, h, w) float32, already normalised;
    output `logits`. Any n."""
    graph = context.delivery.graph(context)
    missing = [package for package in NEEDS if find_spec(package) is None]
    if missing:
        raise Skipped(f"the packages {' and '.join(missing)} are not installed")
    module = copy.deepcopy(graph.module).cpu().float().eval()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    path = folder / f"{context.name}.onnx"
    part = path.with_name(path.name + ".part")
    try:
        torch.onnx.export(
            module, (graph.example,), str(part), input_names=[graph.input], output_names=[graph.output],
            dynamic_shapes=({0: torch.export.Dim("n")},), external_data=False, verbose=False,
        )  # fmt: skip
    except Exception as error:  # whatever the converter raises on a network of anybody's, the job has its student
        part.unlink(missing_ok=True)
        raise Skipped(f"this architecture cannot be converted: {str(error).strip().partition(chr(10))[0]}") from error
    part.replace(path)
    return Artifact(path.name, path, "application/octet-stream")


ENTRY = export
