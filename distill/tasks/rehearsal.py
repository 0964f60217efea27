"""A job's networks and recipe put together before it runs, on the meta device: nothing is computed.

What a recipe refuses by shapes and connections alone is known then, and which parameters no loss of it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import recipes, selection
from distill.answers import Answer
from distill.errors import InvalidConfig, UserError
from distill.layer_count import Side, number_of_layers
from distill.layers import discover
from distill.models import Preprocessing
from distill.models.sizes import FORWARD_ERRORS
from distill.recipe_parts.base import Recipe, Setup
from distill.recipe_parts.untaught import caution, without_gradient
from distill.selection import even_positions
from distill.types import Architecture, DistillConfig, Layer
from distill.warned import RunWarning

SAMPLES = 2
META = torch.device("meta")


@dataclass(frozen=True)
class Actor:
    """A network on the meta device, and how it sees pictures."""

    network: nn.Module
    architecture: Architecture
    how: Preprocessing

    @property
    def example(self) -> Tensor:
        return torch.empty(SAMPLES, self.how.channels, *self.how.size, device=META)

    def layers(self, named: list[str] | None) -> list[Layer]:
        return discover(self.network, self.example, named)


@dataclass(frozen=True)
class Cast:
    """Who takes part. `classes`: of the dataset. `teacher`: None where the recipe needs none."""

    config: DistillConfig
    classes: int
    student: Actor
    teacher: Actor | None


Agree = Callable[[Cast], None]
"""What a task asks of networks whose logits are compared. Raises `InvalidConfig`."""


def rehearse(cast: Cast, answer: Answer, agree: Agree) -> list[RunWarning]:
    """What the run would warn of. `answer`: as `distill.answers.reaching` has it for the task. Raises `UserError` for
    what it would refuse, `details["field"]` the setting that is to blame. Networks and recipes that ask for values are
    not judged: the run will tell."""
    try:
        return list(_rehearsed(cast, answer, agree))
    except (NotImplementedError, *FORWARD_ERRORS):
        return []


def _rehearsed(cast: Cast, answer: Answer, agree: Agree) -> Iterator[RunWarning]:
    recipe: type[Recipe] = recipes.get(cast.config.recipe)
    with _blaming("recipe"):
        agree(cast)
    students, teachers = _layers(cast) if recipe.needs_layers else ((), ())
    if recipe.needs_layers:
        _check(cast, recipe, students, teachers)
    try:
        with _blaming("recipe"):
            made = _made(cast, recipe, answer, students, teachers)
    except InvalidConfig:
        if _known(cast) or not recipe.needs_layers:
            raise
        return  # other layers may be chosen by their quality
    if left_out := _untaught(made, cast):
        yield caution(left_out, made.exported(), cast.config.recipe)


def _known(cast: Cast) -> bool:
    """Whether the teacher's layers are, before they are scored."""
    return cast.config.teacher_layers is not None


def _layers(cast: Cast) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Student and teacher layers as the run would pair them, the teacher's at even depths where it would score them."""
    config, teacher = cast.config, cast.teacher
    assert teacher is not None
    named = config.student_layers
    with _blaming("student" if named is None else "student_layers"):
        students = cast.student.layers(named)
    with _blaming("teacher" if config.teacher_layers is None else "teacher_layers"):
        teachers = teacher.layers(config.teacher_layers)
    sides = (
        Side("student", cast.student.architecture.name, len(students)),
        Side("teacher", teacher.architecture.name, len(teachers)),
    )
    count, _ = number_of_layers(config, sides)
    if config.teacher_layers is None:
        teachers = [teachers[i] for i in even_positions(len(teachers), count)]
    return tuple(students) if named else selection.student_layers(students, count), tuple(teachers)


def _check(cast: Cast, recipe: type[Recipe], students: tuple[Layer, ...], teachers: tuple[Layer, ...]) -> None:
    """As a run does before any long work."""
    shapes = [layer.shape for layer in students]
    theirs = [layer.shape for layer in teachers] if _known(cast) else None
    with _blaming("student_layers"):
        recipe.check_pairs(cast.config.recipe_parameters, shapes, theirs)
        recipe.check_student(cast.student.network, [layer.name for layer in students], cast.student.example)


def _made(
    cast: Cast, recipe: type[Recipe], answer: Answer, students: tuple[Layer, ...], teachers: tuple[Layer, ...]
) -> Recipe:
    teacher = cast.teacher
    setup = Setup(
        student=cast.student.network,
        teacher=None if teacher is None else teacher.network,
        num_classes=cast.classes,
        student_layers=tuple(layer.name for layer in students),
        teacher_layers=tuple(layer.name for layer in teachers),
        student_shapes=tuple(layer.shape for layer in students),
        teacher_shapes=tuple(layer.shape for layer in teachers),
        student_example=cast.student.example,
        teacher_example=None if teacher is None else teacher.example,
        answer=answer,
        indices=range(SAMPLES),
    )
    return recipe(setup, **cast.config.recipe_parameters)


def _untaught(made: Recipe, cast: Cast) -> list[str]:
    """By one step, in eval mode where a network asks for values in training (transformers' RT-DETR)."""
    made.to(META)
    try:
        return _stepped(made.train(), cast)
    except (NotImplementedError, *FORWARD_ERRORS):
        return _stepped(made.eval(), cast)


def _stepped(made: Recipe, cast: Cast) -> list[str]:
    teacher, places = cast.teacher, torch.zeros(SAMPLES, dtype=torch.int64, device=META)
    targets = {} if teacher is None else made.told(made.targets(teacher.example), places)
    return without_gradient(made(cast.student.example, places, targets)["loss"], made.exported())


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    """Errors inside say which setting is to blame, where they do not yet."""
    try:
        yield
    except UserError as error:
        error.details.setdefault("field", field)
        raise
