"""Keys of a Hugging Face config.json that no network here is made of: code, and quantised weights. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill.errors import InvalidTeacher

CODE = ("trust_remote_code", "auto_map", "custom_pipelines", "custom_generate")
"""Keys that would have code of the folder run; a configuration that has one is refused, whatever its value."""
QUANTISED = ("quantization_config", "compression_config")
DEEPEST = 8


def check_keys(data: Any, remedy: str, depth: int = 0) -> None:
    """Raises `InvalidTeacher` for keys that name code or quantisation, at any depth, and for data nested too deeply."""
    if depth > DEEPEST:
        _refuse("config.json is nested too deeply", remedy)
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in CODE:
                _refuse(f"config.json has {key!r}: code of a model is never run", remedy, key=key)
            if key in QUANTISED:
                _refuse("its weights are quantised; send them in float32, float16 or bfloat16", remedy, key=key)
            check_keys(value, remedy, depth + 1)
    elif isinstance(data, list):
        for value in data:
            check_keys(value, remedy, depth + 1)


def _refuse(what: str, remedy: str, **details: object) -> None:
    raise InvalidTeacher(f"The model folder was refused: {what}.", remedy, details)
