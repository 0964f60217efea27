"""The student that a budget buys: candidates as a worker has counted them, the best by size alone, and what is worth
training to know better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from distill.student_budget import COUNTED, LIMITS, StudentBudget
from distill.tasks.candidates import Chain
from distill.types import Architecture

HALF, WHOLE, DOUBLE = 0.5, 1.0, 2.0
LEVELS: Mapping[str, float] = {"half": HALF, "budget": WHOLE, "double": DOUBLE}
#: Of so many candidates a search chooses: within the budget, and for what half or double of it buys (our choice).
TRAINED: Mapping[str, int] = {"half": 2, "budget": 8, "double": 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that was counted. `chain`: number of its chain; `figures`: parameters, flops, bytes in the budget's
    form, and latency_ms where it was timed."""

    chain: int
    family: str
    architecture: Architecture
    figures: Mapping[str, float]

    def fits(self, limits: Mapping[str, float]) -> bool:
        """Whether it costs at most so much; what was not measured does not fit."""
        return all(self.figures.get(name, float("inf")) <= most for name, most in limits.items())

    @property
    def score(self) -> float:
        """log(parameters) + log(FLOPs): how much is expected of it. What each alone is worth: `docs/studies.md`."""
        return log(max(1.0, self.figures["parameters"])) + log(max(1.0, self.figures["flops"]))

    @property
    def size(self) -> tuple[str, float, float]:
        """By which two networks are the same: two shares may leave the same blocks."""
        return self.family, self.figures["parameters"], self.figures["flops"]

    @property
    def title(self) -> str:
        """`retort:resnet8 (width 6)`."""
        given = self.architecture.options.items()
        options = ", ".join(f"{name} {f'{value:.3g}' if isinstance(value, float) else value}" for name, value in given)
        return self.architecture.name + (f" ({options})" if options else "")

    def to_dict(self) -> dict[str, Any]:
        return {"family": self.family, "architecture": self.architecture.model_dump(mode="json"), **self.figures}


def candidates(chains: Sequence[Chain], answer: Mapping[str, Any], budget: StudentBudget) -> list[Candidate]:
    """Those that a worker could count (`distill.tasks.counting`), in order."""
    return [
        Candidate(number, chain.family, chain.members[found["place"]], _figures(found, budget))
        for number, (chain, counted) in enumerate(zip(chains, answer["chains"], strict=True))
        for found in counted
        if "error" not in found
    ]


def _figures(found: Mapping[str, Any], budget: StudentBudget) -> dict[str, float]:
    figures = {name: found[name] for name in COUNTED} | {
        "bytes": found["int8_bytes" if budget.form == "int8" else "bytes"]
    }
    return figures | ({"latency_ms": found["latency_ms"]} if "latency_ms" in found else {})


def best(known: Sequence[Candidate], limits: Mapping[str, float]) -> list[Candidate]:
    """The largest of each chain that is within the limits, the most promising first; of two that are the same network,
    by family and size, one."""
    largest: dict[int, Candidate] = {}
    for each in known:
        if each.fits(limits) and (each.chain not in largest or each.score > largest[each.chain].score):
            largest[each.chain] = each
    found = sorted(largest.values(), key=lambda each: (-each.score, each.title))
    first: dict[tuple[str, float, float], Candidate] = {}
    for each in found:
        first.setdefault(each.size, each)
    return list(first.values())


def smallest(known: Sequence[Candidate], limits: Mapping[str, float]) -> Candidate | None:
    """The one that exceeds the limits by the least factor."""
    whole = [each for each in known if all(name in each.figures for name in limits)]
    return min(whole, key=lambda each: max(each.figures[name] / most for name, most in limits.items()), default=None)


def trained(known: Sequence[Candidate], budget: StudentBudget) -> dict[str, list[Candidate]]:
    """What is worth training, by level: the most promising within the budget, and of those within half and double the
    budget that are not among them."""
    chosen = {"budget": best(known, budget.limits())[: TRAINED["budget"]]}
    chosen["half"] = _further(best(known, budget.scaled(HALF)), chosen["budget"])[: TRAINED["half"]]
    beyond = [each for each in known if not each.fits(budget.limits())]
    chosen["double"] = best(beyond, budget.scaled(DOUBLE))[: TRAINED["double"]]
    return chosen


def _further(found: Iterable[Candidate], known: Sequence[Candidate]) -> list[Candidate]:
    return [each for each in found if each not in known]


def level(figures: Mapping[str, float], budget: StudentBudget) -> str | None:
    """The least level that the figures are within; None beyond double."""
    fitting = (
        name
        for name, factor in LEVELS.items()
        if all(figures.get(each, float("inf")) <= most for each, most in budget.scaled(factor).items())
    )
    return next(fitting, None)


def table(known: Sequence[Candidate], budget: StudentBudget) -> list[dict[str, Any]]:
    """The largest of every chain at each level, the most promising first."""
    rows = {each.title: each for factor in LEVELS.values() for each in best(known, budget.scaled(factor))}
    ordered = sorted(rows.values(), key=lambda each: (-each.score, each.title))
    return [each.to_dict() | {"within": level(each.figures, budget)} for each in ordered]


def reason(known: Sequence[Candidate], budget: StudentBudget) -> str:
    """Why the first of `best` was taken, and what came next."""
    found = best(known, budget.limits())
    fit = sum(each.fits(budget.limits()) for each in known)
    next_ = "; ".join(f"{each.title}: {described(each.figures)}" for each in found[1:4])
    return (
        f"the largest within {told(budget)}, by parameters x FLOPs, of {fit} that fit: {found[0].title} with "
        f"{described(found[0].figures)}" + (f". Next: {next_}" if next_ else "")
    )


def told(budget: StudentBudget) -> str:
    """The limits in words."""
    form = f" in {budget.form}" if budget.bytes is not None and budget.form != "fp32" else ""
    return " and ".join(f"{_number(value)} {LIMITS[name]}" for name, value in budget.limits().items()) + form


def described(figures: Mapping[str, float]) -> str:
    """A network's figures in words."""
    return ", ".join(f"{_number(figures[name])} {LIMITS[name]}" for name in LIMITS if name in figures)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
