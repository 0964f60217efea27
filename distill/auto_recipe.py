"""`recipe: auto`: which recipes are compared, for how many steps, and what is said of it. Torch-free.

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943, without its brackets): every candidate is trained for
n steps, the best third again for 3n, and so on until one is left. Each training is whole, with a schedule of its own
that ends at its last step: a rate that still stands high hides what a student has learnt (**our choice**).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from distill import recipes
from distill.errors import InvalidConfig
from distill.tasks.spec import TaskSpec
from distill.types import OF_THE_CHOICE, DistillConfig

AUTO, DEFAULT = "auto", "feature_only"
ETA = 3
WITHOUT_LABELS = (
    "No sample has a label, and each recipe is judged by a loss of its own there: they do not compare.",
    "Name a recipe.",
)
"""Message and remedy of the refusal of data without labels."""
#: Steps of the first rung at least; after fewer nothing can be told apart (our choice).
FEWEST_STEPS = 16
#: How much longer than `auto_minutes` the choice may take (our choice).
LATE = 1.5
#: How much longer a step of the average recipe takes than that of the first (our choice).
SLOWER = 1.5


def asked(config: DistillConfig) -> bool:
    """Whether the recipe is to be chosen."""
    return config.recipe == AUTO


def variant(config: DistillConfig, recipe: str) -> DistillConfig:
    """The configuration of the ordinary job with this recipe and its default parameters."""
    plain = {name: DistillConfig.model_fields[name].default for name in OF_THE_CHOICE}
    return config.model_copy(update=plain | {"recipe": recipe, "recipe_parameters": {}})


def named(config: DistillConfig) -> tuple[str, ...]:
    """The recipes to look at, sorted. Raises `InvalidConfig` for settings that contradict, `UnknownName`."""
    if config.recipe_parameters:
        raise InvalidConfig(
            "recipe_parameters are those of one recipe, and the recipe is to be chosen.",
            "Leave recipe_parameters out, or name the recipe.",
            {"field": "recipe_parameters"},
        )
    for name in config.auto_recipes or ():
        recipes.registry.check(name)
    return tuple(sorted(set(config.auto_recipes or recipes.names())))


def unfit(spec: TaskSpec, recipe: str, teachers: int) -> str | None:
    """Why a recipe cannot be one of the candidates, by its name alone; None: it may."""
    if not spec.offers(recipe):
        return f"{spec.title} does not offer it."
    if not teachers and recipes.registry.flag(recipe, "needs_teacher", default=True):
        return "It needs a teacher, and none is named."
    if teachers > 1 and not recipes.several_teachers(recipe):
        return f"It learns from one teacher, and {teachers} are named."
    return None


def fitting(spec: TaskSpec, config: DistillConfig, teachers: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The candidates by their names alone, and why the others are none. Raises as `named`."""
    found = {name: unfit(spec, name, teachers) for name in named(config)}
    return tuple(name for name, why in found.items() if why is None), {k: why for k, why in found.items() if why}


def representative(config: DistillConfig) -> DistillConfig:
    """A configuration with a recipe that there is, for what hardly depends on it: sizes and costs."""
    return variant(config, (config.auto_recipes or [DEFAULT])[0]) if asked(config) else config


@dataclass(frozen=True, slots=True)
class Rung:
    """`candidates` trainings of `steps` steps each, at most."""

    candidates: int
    steps: int


def rungs(candidates: int, first: int, longest: int) -> tuple[Rung, ...]:
    """All rungs for a number of candidates. `first`: steps of the first; `longest`: of the job's own training, which no
    rung exceeds: after one of that length nothing more can be learnt."""
    found, count, steps = list[Rung](), candidates, min(first, longest)
    while True:
        found.append(Rung(count, steps))
        if count <= ETA or steps >= longest:
            return tuple(found)
        count, steps = ceil(count / ETA), min(steps * ETA, longest)


def depth(candidates: int) -> int:
    """How many rungs it takes until at most `ETA` are compared."""
    return len(rungs(candidates, 1, 10**9))


def first_steps(candidates: int, minutes: float, step_seconds: float, fixed_seconds: float, longest: int) -> int:
    """Steps of the first rung for which all rungs take about `minutes`: a power of 2, so that the same machine comes to
    the same number again. `step_seconds`, `fixed_seconds`: of one step, and of a training beside its steps."""
    each = 60 * minutes / (depth(candidates) * max(1, candidates))
    wanted = (each - fixed_seconds) / (SLOWER * max(step_seconds, 1e-9))
    steps = FEWEST_STEPS
    while 2 * steps <= wanted:
        steps *= 2
    return min(steps, longest)


def round_minutes(candidates: int, steps: int, step_seconds: float, fixed_seconds: float) -> float:
    """What a rung of so many trainings takes, about; seconds as for `first_steps`."""
    return candidates * (fixed_seconds + SLOWER * steps * step_seconds) / 60


def ranked(rows: Sequence[Mapping[str, Any]], rung: int, higher: bool) -> list[str]:
    """The recipes with a value in this rung (from 0), the best first. Of equal ones who was better in the rung before,
    and so on; of those that were equal in every rung the default recipe, then the first in the table."""
    known = [row for row in rows if len(row["values"]) > rung]

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        values = [-value if higher else value for value in reversed(row["values"][: rung + 1])]
        return (*values, row["recipe"] != DEFAULT)

    return [row["recipe"] for row in sorted(known, key=place)]


def equals(rows: Sequence[Mapping[str, Any]], rung: int, recipe: str) -> list[str]:
    """The recipes, this one among them, with its very values up to this rung: nothing tells them apart."""
    values = {row["recipe"]: row["values"][: rung + 1] for row in rows if row["values"]}
    return [name for name, found in values.items() if found == values[recipe]]


def told_apart(rows: Sequence[Mapping[str, Any]], rung: int) -> bool:
    """Whether the values of any rung up to this one differ; one recipe alone needs no comparison."""
    known = [row["values"] for row in rows if row["values"]]
    columns = [[values[at] for values in known if len(values) > at] for at in range(rung + 1)]
    return len(known) == 1 or any(len(set(column)) > 1 for column in columns)


def survivors(rows: Sequence[Mapping[str, Any]], rung: int, higher: bool) -> list[str]:
    """The best third of a rung, rounded up."""
    best = ranked(rows, rung, higher)
    return best[: ceil(len(best) / ETA)]
