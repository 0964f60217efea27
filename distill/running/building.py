"""The recipe of a run, on its networks and layers."""

from __future__ import annotations

from distill import recipes
from distill.recipe_parts.base import Recipe, Setup
from distill.running.session import Session
from distill.tasks.teacher_set import weights_of


def build_recipe(session: Session) -> Recipe:
    """The recipe on the session's networks and layers."""
    task, pairs = session.task, session.pairs
    student, teacher = task.student, task.teacher if task.recipe.needs_teacher else None
    setup = Setup(
        student=student.module,
        teacher=teacher.module if teacher else None,
        num_classes=len(task.classes),
        student_layers=pairs.student_names if pairs else (),
        teacher_layers=pairs.teacher_names if pairs else (),
        student_shapes=tuple(layer.shape for layer in pairs.student) if pairs else (),
        teacher_shapes=tuple(layer.shape for layer in pairs.teacher) if pairs else (),
        teacher_shares=shares(session),
        student_example=student.example(2, task.device),
        teacher_example=teacher.example(2, task.device) if teacher else None,
        view=task.view,
        answer=task.answer,
        indices=task.train_data().indices if task.recipe.needs_index else (),
    )
    made: Recipe = recipes.get(session.config.recipe)(setup, **session.config.recipe_parameters)
    return made


def shares(session: Session) -> tuple[float, ...]:
    """The weight of each pair's teacher; of one teacher 1 each."""
    weights = weights_of(session.config.teacher_weights, len(session.teachings)) if session.teachings else ()
    known = zip(session.teachings, weights, strict=True)
    return tuple(weight for each, weight in known if each.pairs is not None for _ in each.pairs.teacher)
