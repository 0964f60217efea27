"""A library's module once more, for us alone, with names of our own in place of some of its."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from torch import Tensor


def private_module(name: str, beside: dict[str, Any]) -> ModuleType:
    """The module `name`, executed anew, whose functions find the names `beside` in place of builtins and of what it
    imports. What others import under `name` stays as it is. Its own name ends in `_of_retort`, and its relative imports
    are those of the original."""
    own = f"{name}_of_retort"
    if own not in sys.modules:
        original = find_spec(name)
        assert original is not None
        assert original.origin is not None
        spec = spec_from_file_location(own, original.origin)
        assert spec is not None
        assert spec.loader is not None
        made = module_from_spec(spec)
        made.__dict__.update(beside)
        sys.modules[own] = made  # decorators look the module of a class up here
        spec.loader.exec_module(made)
        made.__dict__.update(beside)  # its imports may have the same names
    return sys.modules[own]


def length(value: Any) -> Any:
    """What `len` gives; of a tensor as its shape has it. transformers asks a batch for its `len`, which must be an int:
    a graph would be traced for that number of images alone."""
    return value.shape[0] if isinstance(value, Tensor) else len(value)


def unchecked(condition: Any, message: Any, error_type: type[Exception] = ValueError) -> None:
    """In place of transformers' `torch_compilable_check`, by which deformable attention compares the sizes of maps with
    the rows that were made of them: it waits for the device in every layer, and has no answer on the meta device."""


QUERYING: dict[str, Any] = {"len": length, "torch_compilable_check": unchecked}
"""For transformers' detectors of object queries."""
