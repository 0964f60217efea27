"""Language models with a classification head, or bases to give one."""

from __future__ import annotations

from typing import Any

from distill.tasks.language_networks import built, catalogue, counted_layers, examine, measured

__all__ = ["build", "catalogue", "examine", "layers", "measure"]


def measure(question: dict[str, Any]) -> dict[str, Any]:
    return measured("classify", question)


def layers(question: dict[str, Any]) -> int:
    return counted_layers("classify", question)


def build(question: dict[str, Any]) -> tuple[Any, Any]:
    return built("classify", question)
