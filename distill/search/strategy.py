"""What the strategies have in common."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from distill.search import replay
from distill.search.plan import Plan, Tried
from distill.search.space import Assignment

#: So often a sampler may suggest what was tried already, before the rest of a finite space is gone through.
ATTEMPTS = 30
#: A space of more points is never gone through.
MOST_POINTS = 100_000


class Strategy:
    """Proposals by an Optuna sampler, and where `prunes` a pruner beside it.

    `learns`: what is proposed depends on what was found. `exhausts`: the whole space is tried, in order.
    `one_objective`: only the first objective counts."""

    prunes: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    exhausts: ClassVar[bool] = False
    one_objective: ClassVar[bool] = False

    def __init__(self, plan: Plan, **parameters: Any) -> None:
        self.plan, self.parameters = plan, parameters
        self._pruner: BasePruner | None = None

    def sampler(self, seed: int) -> BaseSampler:
        raise NotImplementedError

    def pruner(self) -> BasePruner:
        raise NotImplementedError

    def proposals(self, tried: Sequence[Tried]) -> Iterator[Assignment]:
        """What to try next, best first; the same for the same plan and the same tried points. Ends where a finite space
        has nothing more."""
        number, known = len(tried), tried if self.learns else ()
        asked = replay.study(self.plan, known, several=self._several())
        for attempt in range(ATTEMPTS):
            asked.sampler = self.sampler(replay.seed_of(self.plan, number, attempt))
            yield replay.ask(self.plan, asked)
        yield from self._rest(number)

    def _several(self) -> bool:
        return len(self.plan.directions) > 1 and not self.one_objective

    def _rest(self, number: int) -> Iterator[Assignment]:
        """All points of a finite space, shuffled: most were tried when a sampler only repeats itself."""
        if self.plan.space.size() <= MOST_POINTS:
            points = list(self.plan.space.points(self.plan.base))
            random.Random(replay.seed_of(self.plan, number, ATTEMPTS)).shuffle(points)
            yield from points

    def judge(self, tried: Sequence[Tried], number: int, reported: dict[int, float]) -> tuple[bool, Tried]:
        """Whether the point `number` is given up after these validations, and the point as it is then."""
        self._pruner = self._pruner or self.pruner()
        return replay.prune(self._pruner, replay.study(self.plan, tried), number, reported)


def sampler_named(name: str, seed: int) -> BaseSampler:
    """What a pruning strategy draws its points by."""
    return TPESampler(seed=seed) if name == "tpe" else RandomSampler(seed=seed)
