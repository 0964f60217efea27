"""The networks of images that there are, with the options of those whose options are all known."""

from __future__ import annotations

from typing import Any

from distill.models.names import catalogue as named
from distill.models.names import resolve
from distill.models.options import Backbone, Choice, Kind, allowed


def catalogue() -> list[dict[str, Any]]:
    """As `distill.models.names.catalogue`. Retort's own networks take every option of theirs, and so have `options`, as
    JSON Schema properties; whether a constructor of the libraries takes one it says itself."""
    return [entry | (_options(entry["name"]) if entry["library"] == "retort" else {}) for entry in named()]


def _options(name: str) -> dict[str, Any]:
    return {"options": {option: schema(kind) for option, kind in allowed(resolve(name)).items()}}


def schema(kind: Kind) -> dict[str, Any]:
    """What an option may be, as a JSON Schema property; a backbone is a name from the catalogue of architectures."""
    if isinstance(kind, Backbone):
        return {"type": "string", "maxLength": 200, "x-registry": "architectures", "description": f"{kind}."}
    if isinstance(kind, Choice):
        return {"enum": list(kind.values), "description": f"{kind}."}
    one = "integer" if kind.whole else "number"
    return {
        "type": [one, "array"] if kind.many else one, "minimum": kind.low, "maximum": kind.high,
        "description": f"{kind}.",
    }  # fmt: skip
