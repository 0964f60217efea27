"""Language models that predict the next token: decoders."""

from __future__ import annotations

from typing import Any

from distill.tasks.language_networks import catalogue, examine, measured

__all__ = ["answers", "catalogue", "examine", "measure"]


def answers(report: dict[str, Any]) -> bool:
    """Encoders do not."""
    return bool(report["generates"])


def measure(question: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose head learns apart from the backbone unties it from the embeddings."""
    from distill import recipes
    from distill.recipe_parts.features import DetachedHead

    recipe = question.get("recipe")
    return measured("generate", question, recipe is not None and issubclass(recipes.get(recipe), DetachedHead))
