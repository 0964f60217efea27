"""The network that a checkpoint's header says it is."""

from __future__ import annotations

from collections.abc import Mapping

from distill.types import Architecture


def recorded_architecture(metadata: Mapping[str, str]) -> Architecture | None:
    """None for a header without, or with somebody else's."""
    try:
        return Architecture.model_validate_json(metadata["architecture"])
    except (KeyError, ValueError):
        return None
