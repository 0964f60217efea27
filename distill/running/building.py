"""The recipe of a run, on its networks and layers."""

from __future__ import annotations

from distill.recipe_parts.base import Recipe
from distill.running.session import Session
from distill.tasks.set_up import Distilled, recipe_on
from distill.tasks.teacher_set import weights_of


def build_recipe(session: Session) -> Recipe:
    """The recipe on the session's networks and layers."""
    return recipe_on(session.task, session.task.student.module, distilled(session))


def distilled(session: Session) -> Distilled:
    """The session's layers, as a recipe is told them."""
    pairs = session.pairs
    if pairs is None:
        return Distilled(teacher_shares=shares(session))
    return Distilled(
        pairs.student_names,
        pairs.teacher_names,
        tuple(layer.shape for layer in pairs.student),
        tuple(layer.shape for layer in pairs.teacher),
        shares(session),
    )


def shares(session: Session) -> tuple[float, ...]:
    """The weight of each pair's teacher; of one teacher 1 each."""
    weights = weights_of(session.config.teacher_weights, len(session.teachings)) if session.teachings else ()
    known = zip(session.teachings, weights, strict=True)
    return tuple(weight for each, weight in known if each.pairs is not None for _ in each.pairs.teacher)
