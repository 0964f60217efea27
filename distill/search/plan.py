"""What a strategy is told: the plan of a search, and what was tried so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from distill.search.space import Assignment, Json, Space

State = Literal["running", "complete", "pruned", "failed"]
Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Plan:
    """`base`: the job that is varied; `seed`: of the search; `directions`: of the objectives, the first decides;
    `resource`: the most validations that a run makes, which is its epochs. `key`: by which a process remembers what it
    has replayed of this very plan; empty: it does not."""

    space: Space
    base: Json
    seed: int = 0
    directions: tuple[Direction, ...] = ("maximize",)
    resource: int = 1
    key: str = ""


@dataclass(frozen=True)
class Tried:
    """A point and what came of it. `values`: of the objectives, means over seeds, once it is `complete`. `reported`:
    validation -> value of the first objective while it runs; `marks`: what the pruner noted of it."""

    assignment: Assignment
    state: State
    values: tuple[float, ...] | None = None
    reported: Mapping[int, float] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)
