"""What a study's trials amount to: which configurations there are, what each is worth, and what is still owed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from distill.search.bought import Bought, Trained
from distill.search.objectives import Objective
from distill.search.plan import Direction, Plan, Tried
from distill.search.space import Space, applied
from distill.search.statistics import spread
from store.tables import Study, Trial
from worker.studies.memory import Memory

BASE = 0  # the configuration that is the base job itself
SEARCH, CONFIRMATION = "search", "confirmation"
#: Runs that ended so have shown that their configuration is no good; other failures show nothing.
BAD = frozenset({"diverged", "at_chance"})


@dataclass
class Configuration:
    """A point with the trials of its seeds, the search's and those that confirm it."""

    number: int
    assignment: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)

    def of(self, purpose: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.purpose == purpose]

    def by_seed(self, objective: str, purpose: str = SEARCH) -> dict[int, float]:
        """seed -> value of the trials that ran to their end."""
        done = [trial for trial in self.of(purpose) if trial.state == "succeeded"]
        values = {trial.seed: trial.values or {} for trial in done}
        return {seed: found[objective] for seed, found in values.items() if objective in found}

    def mean(self, objective: str) -> float | None:
        found = spread(list(self.by_seed(objective).values()))
        return None if found is None else found.mean


class Ledger:
    """A study and all of its trials, in order."""

    def __init__(self, study: Study, trials: Sequence[Trial], memory: Memory) -> None:
        self.study, self.trials, self._memory = study, list(trials), memory
        self.objectives = [Objective(**each) for each in study.objectives]
        self.plan, self.bought = plan(study), Bought.of(study.student_budget)
        self.configurations: dict[int, Configuration] = {}
        for trial in self.trials:
            self._file(trial)

    def _file(self, trial: Trial) -> None:
        known = self.configurations.setdefault(
            trial.configuration, Configuration(trial.configuration, trial.assignment)
        )
        known.trials.append(trial)

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._file(trial)

    @property
    def first(self) -> Objective:
        return self.objectives[0]

    def active(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "active"]

    def searched(self) -> int:
        """Trials that count against the budget."""
        return sum(trial.purpose == SEARCH for trial in self.trials)

    # ---- what is owed

    def owed(self, prunes: bool) -> Iterator[tuple[Configuration, int]]:
        """Configurations that were begun, with the seeds that they have not had. A pruning strategy judges by the first
        seed: the others are owed once that has run to its end."""
        for known in self.configurations.values():
            if prunes and known.number != BASE and not self._held_out(known):
                continue
            had = {trial.seed for trial in known.of(SEARCH)}
            yield from ((known, seed) for seed in self.study.seeds if seed not in had)

    def _held_out(self, known: Configuration) -> bool:
        return any(trial.seed == self.study.seeds[0] and trial.state == "succeeded" for trial in known.of(SEARCH))

    def judges(self, trial: Trial) -> bool:
        """Whether the trial is one by which a pruning strategy judges its configuration."""
        return trial.purpose == SEARCH and trial.configuration != BASE and trial.seed == self.study.seeds[0]

    # ---- what a strategy is told

    def history(self, prunes: bool) -> list[Tried]:
        """All points but the base job, which need not lie in the space."""
        open_ = {known.number for known, _ in self.owed(prunes)}
        points = sorted(number for number in self.configurations if number != BASE)
        return [self._remembered(self.configurations[number], number in open_) for number in points]

    def _remembered(self, known: Configuration, is_open: bool) -> Tried:
        return self._memory.tried(known.number, known.trials, is_open, lambda: self._tried(known, is_open))

    def _tried(self, known: Configuration, is_open: bool) -> Tried:
        runs = known.of(SEARCH)
        judged = runs[0]
        reported = {int(step): value for step, value in judged.reported.items()}
        values = _means(runs, self.objectives)
        state = self._state(runs, is_open, values)
        told = tuple(value for value in values if value is not None) if state == "complete" else None
        return Tried(known.assignment, state, told, reported, judged.marks)

    def _state(self, runs: list[Trial], is_open: bool, values: list[float | None]) -> Any:
        if any(trial.state == "active" for trial in runs) or (is_open and runs[0].state == "succeeded"):
            return "running"
        if runs[0].state == "pruned":
            return "pruned"
        if None not in values:
            return "complete"
        return "pruned" if any(trial.outcome in BAD for trial in runs) else "failed"

    def _seen(self, known: Configuration) -> Iterator[float]:
        """Validations of what was given up: those that it was judged by, and the best until it had stopped."""
        for trial in known.of(SEARCH):
            yield from trial.reported.values()
            if self.first.name in (trial.values or {}):
                yield (trial.values or {})[self.first.name]

    # ---- what was found

    def winner(self) -> Configuration | None:
        """The best mean of the first objective among those that keep every limit, were not given up, and have most
        seeds; the earlier of equals, so the base job before all. None where nothing ran to its end."""
        fit = [known for known in self.configurations.values() if self._fits(known)]
        most = max((len(known.by_seed(self.first.name)) for known in fit), default=0)
        full = [known for known in fit if len(known.by_seed(self.first.name)) == most]
        return min(full, key=lambda known: (self._badness(known), known.number), default=None)

    def _fits(self, known: Configuration) -> bool:
        whole = bool(known.by_seed(self.first.name)) and (self.bought is None or self.bought.allows(self.job(known)))
        return whole and all(each.keeps(known.mean(each.name)) for each in self.objectives)

    def job(self, known: Configuration) -> dict[str, Any]:
        """What its trials do, their seeds aside."""
        return applied(self.study.base, known.assignment)

    def trained(self) -> Iterator[Trained]:
        """Every configuration as far as its first objective is known."""
        better = max if self.first.maximised else min
        for known in self.configurations.values():
            mean, seen = known.mean(self.first.name), list(self._seen(known))
            if mean is not None:
                seeds = len(known.by_seed(self.first.name))
                yield Trained(known.number, self.job(known), mean, seeds)
            elif seen:
                yield Trained(known.number, self.job(known), better(seen), 0)

    def _badness(self, known: Configuration) -> float:
        mean = cast(float, known.mean(self.first.name))
        return -mean if self.first.maximised else mean


def _means(runs: Sequence[Trial], objectives: Sequence[Objective]) -> list[float | None]:
    """Of each objective over the runs that went to their end; None where none has it."""
    done = [trial.values for trial in runs if trial.state == "succeeded" and trial.values]
    found = [spread([each[name] for each in done if name in each]) for name in (one.name for one in objectives)]
    return [None if each is None else each.mean for each in found]


def plan(study: Study) -> Plan:
    """What the study's strategy is told."""
    directions: tuple[Direction, ...] = tuple(each["direction"] for each in study.objectives)
    return Plan(Space.from_list(study.space), study.base, study.search_seed, directions, study.resource, study.id)
