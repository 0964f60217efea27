"""ONNX in fp32: any batch, opset 18."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

from distill.export import Runner
from distill.exports._base import PIXELS, Exporter
from distill.exports._onnx import OPSET, PACKAGES, open_onnx, whole
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {
    **PIXELS,
    "suppression": {
        "type": "boolean",
        "default": False,
        "x-takes": ["tensor"],
        "description": "Of detectors: whether the file gives the boxes that are left after non-maximum suppression.",
    },
}


class Onnx(Exporter):
    """By torch's converter through `torch.export`."""

    takes: ClassVar[tuple[str, ...]] = ("tensor", "tokens")
    ending: ClassVar[str] = ".onnx"
    runtime: ClassVar[str] = "onnxruntime"
    packages: tuple[str, ...] = PACKAGES
    use: ClassVar[tuple[str, str] | None] = (
        "import onnxruntime",
        'session = onnxruntime.InferenceSession("{file}")\n(output,) = session.run(None, {given})',
    )

    def __init__(self, pixels: bool = False, suppression: bool = False) -> None:
        super().__init__(pixels)
        self.suppression = suppression

    def name(self, network: str) -> str:
        return super().name(f"{network}.boxes" if self.suppression else network)

    def write(self, traced: Traced, path: Path) -> list[Path]:
        shutil.copyfile(whole(traced), path)
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        return open_onnx(path, threads)

    def facts(self) -> dict[str, Any]:
        return {"opset": OPSET}


ENTRY = Onnx
