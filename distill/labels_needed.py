"""What a recipe asks of the labels. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from distill import recipes
from distill.headless import headless
from distill.teacher_classes import Refusal
from distill.types import DistillConfig


def refusal(recipe: str, offered: Callable[[str], bool]) -> Refusal | None:
    """What is wrong with the recipe on data without any label; None: nothing. `offered`: whether the task has a recipe.
    Raises `UnknownName`."""
    if recipes.needs_labels(recipe):
        what = f"The recipe {recipe} learns from labels, and no sample of the dataset has one."
    elif recipes.needs_index(recipe):
        what = (
            f"No sample of the dataset has a label, and the recipe {recipe}, which remembers its training samples, has "
            "no loss on others that could tell the best student."
        )
    else:
        return None
    return Refusal(
        what,
        f"Use a recipe that learns from a teacher's features ({', '.join(recipes.without_labels(offered))}), or "
        "register a dataset with labels.",
    )


def of_settings(config: DistillConfig, unlabelled: int, labelled: bool) -> Iterator[tuple[str, Refusal]]:
    """Settings of labels, each with what is wrong with it, where `unlabelled` of the training samples that the recipe
    uses have none. `labelled`: whether any sample has one."""
    for name in ("mixup", "cutmix"):
        if getattr(config, name) and unlabelled:
            yield (
                name,
                Refusal(
                    f"{name} mixes labels with the pictures, and {unlabelled:,} training pictures have none.",
                    f"Leave {name} out, or register a dataset with labels.",
                ),
            )
    given = {
        "label_smoothing": config.label_smoothing > 0,
        "class_weights": config.class_weights != "none",
        "sampling": config.sampling == "balanced",
    }
    for name in (name for name, asked in given.items() if asked and not labelled):
        message = f"{name} is of labels, and no sample of the dataset has one."
        yield name, Refusal(message, f"Leave {name} out.")


def with_a_classifier(student: str) -> Refusal | None:
    """What is wrong with a student of this full name on data without any label: that its library builds none without a
    classifier; None: nothing."""
    if headless(student):
        return None
    return Refusal(
        f"The pictures have no labels, and {student} cannot be built without a classifier.",
        "Use a network of timm as the student, such as timm:resnet18.",
    )
