"""A library's module once more, for us alone, with names of our own in place of builtins."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from torch import Tensor


def private_module(name: str, beside: dict[str, Any]) -> ModuleType:
    """The module `name`, executed anew with the names `beside` before its first line. What others import under `name`
    stays as it is. Its own name ends in `_of_retort`, and its relative imports are those of the original."""
    own = f"{name}_of_retort"
    if own not in sys.modules:
        original = find_spec(name)
        assert original is not None and original.origin is not None
        spec = spec_from_file_location(own, original.origin)
        assert spec is not None and spec.loader is not None
        made = module_from_spec(spec)
        made.__dict__.update(beside)
        sys.modules[own] = made  # decorators look the module of a class up here
        spec.loader.exec_module(made)
    return sys.modules[own]


def length(value: Any) -> Any:
    """What `len` gives; of a tensor as its shape has it. transformers asks a batch for its `len`, which must be an int:
    a graph would be traced for that number of images alone."""
    return value.shape[0] if isinstance(value, Tensor) else len(value)
