"""Which jobs take more than one teacher. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distill import recipes
from distill.tasks.spec import TaskSpec
from distill.types import DistillConfig

MOST = 8
"""Teachers of one job (**our choice**)."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """What is wrong with a field of the request (`teacher`) or of its config, and what to do."""

    field: str
    message: str
    remedy: str


def labels(named: Sequence[tuple[str, str]]) -> list[str]:
    """What teachers of these (id, name) are called beside one another: by name, with the id where that is no one's
    alone."""
    names = [name for _, name in named]
    return [name if name and names.count(name) == 1 else f"{name} ({row_id})".strip() for row_id, name in named]


def unfit(spec: TaskSpec, config: DistillConfig, labels: Sequence[str]) -> Iterator[Unfit]:
    """What keeps a job from learning from these teachers together; of one teacher nothing but a weight too many.
    `labels`: what they are called."""
    count = len(labels)
    if config.teacher_weights != "auto" and len(config.teacher_weights) != count:
        message = f"teacher_weights has {len(config.teacher_weights)} values for {count} teachers."
        yield Unfit("teacher_weights", message, "Give one weight a teacher, in their order, or leave it out.")
    if count < 2:
        return
    if count > MOST:
        yield Unfit("teacher", f"A job has at most {MOST} teachers, and {count} are named.", "Name fewer.")
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        message = f"{twice} is named twice among the teachers."
        yield Unfit("teacher", message, "Name each teacher once; teacher_weights says how much it counts.")
    if not spec.several_teachers:
        yield Unfit("teacher", f"{spec.title} takes one teacher, and {count} are named.", "Name one.")
    elif config.recipe in recipes.names() and not recipes.several_teachers(config.recipe):
        able = ", ".join(name for name in recipes.names() if spec.offers(name) and recipes.several_teachers(name))
        message = f"The recipe {config.recipe} learns from one teacher, and {count} are named."
        yield Unfit("recipe", message, f"Name one teacher, or use a recipe that takes several: {able}.")
    if config.teacher_layers is not None:
        message = "teacher_layers names the layers of one teacher, and there are several."
        yield Unfit("teacher_layers", message, "Leave it out: a selection rule chooses by each teacher's own Q curve.")
