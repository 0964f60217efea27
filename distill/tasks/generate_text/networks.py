"""Language models that predict the next token: decoders."""

from __future__ import annotations

from typing import Any

from distill.tasks.language_networks import built, catalogue, counted_layers, examine, measured

__all__ = ["answers", "build", "catalogue", "examine", "layers", "measure"]


def answers(report: dict[str, Any]) -> bool:
    """Encoders do not."""
    return bool(report["generates"])


def measure(question: dict[str, Any]) -> dict[str, Any]:
    return measured("generate", question, _untied(question))


def layers(question: dict[str, Any]) -> int:
    return counted_layers("generate", question)


def build(question: dict[str, Any]) -> tuple[Any, Any]:
    return built("generate", question, _untied(question))


def _untied(question: dict[str, Any]) -> bool:
    """A recipe whose head learns apart from the backbone unties it from the embeddings."""
    from distill import recipes
    from distill.recipe_parts.features import DetachedHead

    recipe = question.get("recipe")
    return recipe is not None and issubclass(recipes.get(recipe), DetachedHead)
