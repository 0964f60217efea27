"""The student as ONNX, for runtimes other than PyTorch (needs the packages onnx and onnxscript)."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path

import torch

from distill.export._base import Artifact, Context, Skipped, pictures

NEEDS = ("onnx", "onnxscript")


def export(context: Context, folder: Path) -> list[Artifact]:
    """`student.onnx`: input `image` (n, c, h, w) float32, already normalised; output `logits` (n, classes)."""
    if context.tokens is not None:
        raise Skipped("language models are exported as their Hugging Face folder")
    missing = [package for package in NEEDS if find_spec(package) is None]
    if missing:
        raise Skipped(f"the packages {' and '.join(missing)} are not installed")
    student = copy.deepcopy(context.student).cpu().float().eval()
    student.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    how = pictures(context)
    example = torch.zeros(2, how.channels, *how.size)
    path = folder / "student.onnx"
    part = folder / "student.onnx.part"
    try:
        torch.onnx.export(
            student, (example,), str(part), input_names=["image"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n")},), external_data=False, verbose=False,
        )  # fmt: skip
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise Skipped(f"this architecture cannot be converted: {str(error).strip().partition(chr(10))[0]}") from error
    part.replace(path)
    return [Artifact(path.name, path, "application/octet-stream")]


ENTRY = export
