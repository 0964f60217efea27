"""Lets torchvision be imported beside a torch it was not built for. Import this before torchvision or timm.

torchvision 0.28's `_C.so` cannot be loaded beside the CPU build of torch; torchvision then registers fake kernels for
operators that nobody has defined, and `import torchvision` (timm with it) fails with `operator torchvision::nms does
not exist`. Declaring the two schemas is enough: nothing here detects objects, so neither is ever called. Where `_C.so`
loads, nothing is declared. The same holds where torchvision has been imported before.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")


def extension_loads() -> bool:
    """Whether torchvision's compiled operators can be loaded beside this torch."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent
    return any(_loads(path) for path in sorted(folder.glob("_C*")) if path.suffix in {".so", ".pyd", ".dylib"})


def _loads(path: Path) -> bool:
    try:
        torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True


def _declare() -> torch.library.Library | None:
    if "torchvision" in sys.modules or extension_loads():
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        library.define(name + _SIGNATURE)  # type: ignore[no-untyped-call]
    return library


# Kept for the life of the process: a Library that is collected takes its schemas with it.
LIBRARY = _declare()
