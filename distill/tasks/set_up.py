"""A recipe made of a task's networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from distill import recipes
from distill.recipe_parts.base import Recipe, Setup
from distill.tasks.base import Task


@dataclass(frozen=True)
class Distilled:
    """The layers that are distilled, one to one, as `Setup` wants them; all empty where a recipe uses none."""

    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[str, ...] = ()
    student_shapes: tuple[tuple[int, ...], ...] = ()
    teacher_shapes: tuple[tuple[int, ...], ...] = ()
    teacher_shares: tuple[float, ...] = ()


def recipe_on(task: Task, student: nn.Module, distilled: Distilled) -> Recipe:
    """The configuration's recipe with this module in the student's place. Raises `InvalidConfig`."""
    teacher = task.teacher if task.recipe.needs_teacher else None
    given: dict[str, Any] = vars(distilled)
    setup = Setup(
        student=student,
        teacher=teacher.module if teacher else None,
        num_classes=len(task.classes),
        student_example=task.student.example(2, task.device),
        teacher_example=teacher.example(2, task.device) if teacher else None,
        view=task.view,
        answer=task.answer,
        indices=task.train_data().indices if task.recipe.needs_index else (),
        **given,
    )
    made: Recipe = recipes.get(task.config.recipe)(setup, **task.config.recipe_parameters)
    return made
