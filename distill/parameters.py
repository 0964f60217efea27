"""Checks given parameters against an entry's literal `PARAMETERS`. Torch-free: the API may use it too."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from distill import losses
from distill.errors import InvalidConfig

P = ParamSpec("P")
R = TypeVar("R")
Schema = Mapping[str, Mapping[str, Any]]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "array": (list, tuple),
    "null": type(None),
}


def check(parameters: Schema, given: Mapping[str, Any]) -> None:
    """Raise `InvalidConfig` for an unknown name, a wrong type or a value out of range; `UnknownName` for a loss that
    the registry lacks. Understands of JSON Schema: type (one or several), minimum, maximum, exclusiveMinimum,
    exclusiveMaximum, enum, pattern (of the whole text), items; and `x-registry: losses`, a name from that registry."""
    for name, value in given.items():
        if name not in parameters:
            raise _unknown(name, parameters)
        _check_value(name, value, parameters[name])


def check_beside(parameters: Schema, given: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise `InvalidConfig` for a value that is not below the field of the configuration that its `x-below` names."""
    for name, value in given.items():
        other = parameters.get(name, {}).get("x-below")
        if other is not None and value is not None and not value < config[other]:
            raise InvalidConfig(
                f"{name} = {_short(value)} is not below {other} ({config[other]}), from 0 on.",
                f"Give {name} a value below {config[other]}, or more {other}.",
                {"parameter": name, other: config[other]},
            )


def validated(parameters: Schema) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a constructor so that its keyword arguments are checked against `parameters` first.

    The constructor's other arguments (`self`, `setup`) pass unchecked; its defaults stay its own.
    """

    def decorate(init: Callable[P, R]) -> Callable[P, R]:
        others = set(signature(init).parameters) - set(parameters)

        @wraps(init)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check(parameters, {name: value for name, value in kwargs.items() if name not in others})
            return init(*args, **kwargs)

        return checked

    return decorate


def _unknown(name: str, parameters: Schema) -> InvalidConfig:
    close = get_close_matches(name, parameters, n=1)
    known = f"Its parameters are: {', '.join(parameters)}." if parameters else "It has no parameters."
    remedy = f"Did you mean {close[0]!r}? {known}" if close else known
    return InvalidConfig(f"There is no parameter named {name!r}.", remedy, {"parameter": name})


def _check_value(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    kinds = schema.get("type", list(_TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        raise _wrong(name, value, f"of type {' or '.join(kinds)}")
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(name, value, f"one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(name, value, schema)
    if isinstance(value, str) and not re.fullmatch(schema.get("pattern", ".*"), value, re.DOTALL):
        raise _wrong(name, value, f"of the form {schema['pattern']}")
    if isinstance(value, list | tuple) and "items" in schema:
        for item in value:
            _check_value(name, item, schema["items"])
    if schema.get("x-registry") == "losses" and value is not None:
        losses.registry.check(value)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"  # Python counts True as 1; a configuration does not
    return isinstance(value, _TYPES[kind])


def _check_range(name: str, value: float, schema: Mapping[str, Any]) -> None:
    if not abs(value) <= sys.float_info.max:  # NaN too, and integers that no float holds
        raise _wrong(name, value, "finite")
    if value < schema.get("minimum", -math.inf):
        raise _wrong(name, value, f"at least {schema['minimum']}")
    if value > schema.get("maximum", math.inf):
        raise _wrong(name, value, f"at most {schema['maximum']}")
    if value <= schema.get("exclusiveMinimum", -math.inf):
        raise _wrong(name, value, f"more than {schema['exclusiveMinimum']}")
    if value >= schema.get("exclusiveMaximum", math.inf):
        raise _wrong(name, value, f"less than {schema['exclusiveMaximum']}")


def _wrong(name: str, value: Any, rule: str) -> InvalidConfig:
    return InvalidConfig(
        f"{name} = {_short(value)} is not {rule}.", f"Give {name} a value {rule}.", {"parameter": name}
    )


def _short(value: Any) -> str:
    """Python refuses to print integers of more than 4300 digits."""
    return "an integer" if isinstance(value, int) and abs(value) > sys.float_info.max else repr(value)
