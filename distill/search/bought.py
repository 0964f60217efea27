"""What a study says of a student's budget: the best within it, and what half or double of it would buy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.search.sizing import LEVELS, Candidate, described, level, told
from distill.search.space import canonical, look
from distill.search.statistics import front
from distill.student_budget import StudentBudget

STUDENT = "/student"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """A configuration as far as it was trained. `value`: of the first objective, the mean over `seeds` of those that
    ran to their end; of one that was given up its best validation, and `seeds` is 0."""

    configuration: int
    job: Mapping[str, Any]
    value: float
    seeds: int


@dataclass(frozen=True, slots=True)
class Bought:
    """The budget of a study, and what was counted of the networks that it trains, by canonical architecture."""

    budget: StudentBudget
    figures: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Bought | None:
        """From `document`; None: the study has no budget."""
        if document is None:
            return None
        figures = {canonical(each["architecture"]): each["figures"] for each in document["counted"]}
        return cls(StudentBudget.model_validate(document["budget"]), figures)

    def counted(self, job: Mapping[str, Any]) -> Mapping[str, float] | None:
        """Of the job's student; None of one that is no candidate."""
        return self.figures.get(canonical(look(job, STUDENT)))

    def allows(self, job: Mapping[str, Any]) -> bool:
        """Whether the job's student is within the budget."""
        found = self.counted(job)
        return found is not None and level(found, self.budget) in ("half", "budget")

    def answer(self, trained: Iterable[Trained], maximised: bool) -> Json:
        """By level the best configuration, null where none was trained; `outside`: the best that is not within the
        budget, where it did better; and the front of value and limited figures."""
        every = list(trained)
        known = [(each, found) for each in every if (found := self.counted(each.job)) is not None]
        levels = {
            name: self._best([pair for pair in known if self._within(pair[1], factor)], maximised)
            for name, factor in LEVELS.items()
        }
        outside = self._outside(every, levels["budget"], maximised)
        reading = self._reading(levels) + (f" Better lay outside the budget: {_worth(outside)}." if outside else "")
        return levels | {"outside": outside, "front": self._front(known, maximised), "reading": reading}

    def _outside(self, trained: Sequence[Trained], within: Json | None, maximised: bool) -> Json | None:
        """The best configuration outside the budget, where it did better than the best within it; the base job too."""
        sign = -1 if maximised else 1
        others = [each for each in trained if each.seeds and not self.allows(each.job)]
        best = min(others, key=lambda each: (sign * each.value, each.configuration), default=None)
        if best is None or within is None or sign * best.value >= sign * within["value"]:
            return None
        return _told(best, self.counted(best.job) or {})

    def _within(self, figures: Mapping[str, float], factor: float) -> bool:
        return all(figures.get(name, float("inf")) <= most for name, most in self.budget.scaled(factor).items())

    def _best(self, known: Sequence[tuple[Trained, Mapping[str, float]]], maximised: bool) -> Json | None:
        """Of those that ran to their end; only where there is none of what was given up."""
        whole = [pair for pair in known if pair[0].seeds] or list(known)
        sign = -1 if maximised else 1
        found = min(whole, key=lambda pair: (sign * pair[0].value, pair[0].configuration), default=None)
        return None if found is None else _told(*found)

    def _front(self, known: Sequence[tuple[Trained, Mapping[str, float]]], maximised: bool) -> list[Json]:
        names = list(self.budget.limits())
        whole = [pair for pair in known if pair[0].seeds and all(name in pair[1] for name in names)]
        points = [(each.value, *(figures[name] for name in names)) for each, figures in whole]
        return [_told(*whole[place]) for place in front(points, (maximised, *(False for _ in names)))]

    def _reading(self, levels: Mapping[str, Json | None]) -> str:
        begin = {"half": "Half of it", "budget": f"Within {told(self.budget)}", "double": "Double of it"}
        return " ".join(f"{begin[name]}: {_worth(levels[name])}." for name in ("budget", "half", "double"))


def _told(each: Trained, figures: Mapping[str, float]) -> Json:
    student = look(each.job, STUDENT)
    return {
        "configuration": each.configuration, "student": student, "value": each.value, "seeds": each.seeds,
        "figures": dict(figures),
    }  # fmt: skip


def _worth(found: Json | None) -> str:
    if found is None:
        return "nothing was trained to its end"
    student = found["student"]
    name = student["name"] if isinstance(student, Mapping) else student
    ended = f"{found['value']:.4g} over {found['seeds']} seeds" if found["seeds"] else f"{found['value']:.4g}, given up"
    return ", ".join(part for part in (name, ended, described(found["figures"])) if part)


def document(budget: Mapping[str, Any], counted: Iterable[Candidate]) -> Json:
    """What is told of a budget, with what was counted of the networks that a study trains, as it keeps it."""
    kept = [
        {"architecture": each.architecture.model_dump(mode="json"), "figures": dict(each.figures)} for each in counted
    ]
    return {**budget, "counted": kept}
