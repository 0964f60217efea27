"""What a recipe asks of the labels. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from collections.abc import Callable

from distill import recipes
from distill.teacher_classes import Refusal


def refusal(recipe: str, offered: Callable[[str], bool]) -> Refusal | None:
    """What is wrong with the recipe on data without any label; None: nothing. `offered`: whether the task has a recipe.
    Raises `UnknownName`."""
    if not recipes.needs_labels(recipe):
        return None
    return Refusal(
        f"The recipe {recipe} learns from labels, and no sample of the dataset has one.",
        f"Use a recipe that learns from a teacher's features ({', '.join(recipes.without_labels(offered))}), or "
        "register a dataset with labels.",
    )


HEADLESS = "timm:"
"""How the names of networks begin that are built without a classifier too."""


def with_a_classifier(student: str) -> Refusal | None:
    """What is wrong with a student of this full name on data without any label: that its library builds none without a
    classifier; None: nothing."""
    if student.startswith(HEADLESS):
        return None
    return Refusal(
        f"The pictures have no labels, and {student} cannot be built without a classifier.",
        "Use a network of timm as the student, such as timm:resnet18.",
    )
