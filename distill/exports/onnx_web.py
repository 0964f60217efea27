"""One static page (.html) that runs the student in a browser: ONNX in fp32, onnxruntime-web and a form for pictures."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from distill.export import Runner
from distill.exports import _needs
from distill.exports._base import PIXELS
from distill.exports._onnx import PACKAGES, open_onnx_bytes, whole
from distill.exports.onnx import Onnx
from distill.not_exportable import NotExportable
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {**PIXELS}

_DESCRIBED, _MODEL = "<!--DESCRIBED-->", "<!--MODEL-->"
_FOUND = re.compile(rb'<script type="text/plain" id="model">([A-Za-z0-9+/=]+)</script>')
_VERSION = re.compile(r'data-runtime="onnxruntime-web ([^"]+)"')


class OnnxWeb(Onnx):
    """The page holds the very file that `onnx` writes. What is compared and judged is taken back out of the page and
    run by onnxruntime, whose WebAssembly build runs it in a browser. A detector's page has non-maximum suppression."""

    takes: ClassVar[tuple[str, ...]] = ("tensor",)
    ending: ClassVar[str] = ".html"
    packages: tuple[str, ...] = PACKAGES
    paged: ClassVar[bool] = True
    final: ClassVar[bool] = True
    media_type: ClassVar[str] = "text/html"
    use: ClassVar[tuple[str, str] | None] = None

    def __init__(self, pixels: bool = False) -> None:
        super().__init__(pixels)

    def check_packages(self) -> None:
        super().check_packages()
        missing = _needs.page(_needs.PAGE)
        if missing is not None:
            raise missing

    def write(self, traced: Traced, path: Path) -> list[Path]:
        if traced.page is None:
            raise NotExportable(
                "This student has no page: a browser cannot prepare its samples as the test set's were.",
                "Ask for the format onnx, and run it beside a program of your own.",
                {"format": "onnx-web", "operator": None},
            )
        content = whole(traced).read_bytes()
        path.write_text(filled(_needs.PAGE.read_text(encoding="utf-8"), traced.page, content), encoding="utf-8")
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        return open_onnx_bytes(model_in(path.read_bytes()), threads)

    def facts(self) -> dict[str, Any]:
        found = _VERSION.search(_needs.PAGE.read_text(encoding="utf-8")[:1000])
        return super().facts() | {"page_runtime": {"name": "onnxruntime-web", "version": found[1] if found else ""}}


def filled(page: str, described: Mapping[str, Any], content: bytes) -> str:
    """The page with a student in it. JSON in a script element ends where "</" would stand, so `<` is escaped."""
    told = json.dumps(described, ensure_ascii=True).replace("<", "\\u003c")
    before, _, rest = page.partition(_DESCRIBED)
    between, _, after = rest.partition(_MODEL)
    return before + told + between + base64.b64encode(content).decode() + after


def model_in(page: bytes) -> bytes:
    """The ONNX file that a page holds. Raises `ValueError` for a page without."""
    found = _FOUND.search(page)
    if found is None:
        raise ValueError("the page holds no model")
    return base64.b64decode(found[1])


ENTRY = OnnxWeb
