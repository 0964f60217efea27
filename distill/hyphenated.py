"""A registry whose names are written with hyphens where its files have underscores."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from distill.registry import Registry


class Hyphenated(Registry):
    """`onnx_int8.py` is the entry `onnx-int8`."""

    def names(self) -> tuple[str, ...]:
        return tuple(name.replace("_", "-") for name in super().names())

    def get(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{self._file(name).stem}").ENTRY

    def _file(self, name: str) -> Path:
        self.check(name)
        return self._folder / f"{name.replace('-', '_')}.py"
