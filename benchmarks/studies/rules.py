"""`python -m benchmarks.studies.rules FILE ...`: what other rules of halving would have found on recorded curves
(`benchmarks.studies.halving`), each over the same random orders of the grid, one trial at a time.

`stopping` gives a run up for good, as a study does; `promoting` holds it and may take it up again (Li et al., MLSys
2020). Rungs are at `first` eta^k epochs; a run is judged by its last value or by its best so far. Of n runs that came
to a rung the best floor(n / eta) go on, at least one; or ceil(n / eta); `slack`: and who is so many standard errors of
an accuracy on the validation samples below the last of them.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from math import sqrt
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.studies.halving import EPOCHS, _complete

ORDERS, SAMPLES = 100, 800
Run = dict[str, Any]
Outcome = tuple[float, float]  # the best value of a run that went to its end, and the seconds of all


@dataclass(frozen=True, slots=True)
class Rule:
    first: int
    eta: int
    best: bool
    up: bool = False
    slack: float = 0.0

    def rungs(self) -> list[int]:
        return [
            rung for rung in accumulate([self.eta] * EPOCHS, lambda a, b: a * b, initial=self.first) if rung < EPOCHS
        ]

    def values(self, run: Run) -> list[float]:
        return list(accumulate(run["validations"], max)) if self.best else run["validations"]

    def keeps(self, value: float, known: Sequence[float]) -> bool:
        count = max(1, -(-len(known) // self.eta) if self.up else len(known) // self.eta)
        error = sqrt(max(value * (1 - value), 0.0) / SAMPLES)
        return value + self.slack * error >= sorted(known, reverse=True)[count - 1]

    def __str__(self) -> str:
        went = "ceil" if self.up else "floor"
        by = "best" if self.best else "last"
        return f"first {self.first}, eta {self.eta}, {by} value, {went}, slack {self.slack:g}"


def stopping(runs: Sequence[Run], rule: Rule) -> Outcome:
    rungs, seen = rule.rungs(), {rung: list[float]() for rung in rule.rungs()}
    best = seconds = 0.0
    for run in runs:
        values, end = rule.values(run), EPOCHS
        for rung in rungs:
            seen[rung].append(values[rung - 1])
            if not rule.keeps(values[rung - 1], seen[rung]):
                end = rung
                break
        seconds += run["seconds"][end - 1]
        best = max(best, max(run["validations"])) if end == EPOCHS else best
    return best, seconds


def promoting(runs: Sequence[Run], rule: Rule) -> Outcome:
    """A run that may go on goes first, from the highest rung; else a new one begins."""
    rungs, waiting = [*rule.rungs(), EPOCHS], list(range(len(runs)))
    came, went = [dict[int, float]() for _ in rungs], [set[int]() for _ in rungs]
    best = seconds = 0.0
    while (found := _next(came, went, rule)) is not None or waiting:
        rung, number = found or (0, waiting.pop(0))
        if rung:
            went[rung - 1].add(number)
        run = runs[number]
        seconds += run["seconds"][rungs[rung] - 1] - (run["seconds"][rungs[rung - 1] - 1] if rung else 0.0)
        came[rung][number] = rule.values(run)[rungs[rung] - 1]
        best = max(best, max(run["validations"])) if rungs[rung] == EPOCHS else best
    return best, seconds


def _next(came: Sequence[dict[int, float]], went: Sequence[set[int]], rule: Rule) -> tuple[int, int] | None:
    for rung in range(len(came) - 2, -1, -1):
        order = sorted(came[rung], key=lambda number: -came[rung][number])
        free = [number for number in order[: len(order) // rule.eta] if number not in went[rung]]
        if free:
            return rung + 1, free[0]
    return None


@dataclass(frozen=True, slots=True)
class Worth:
    """Of a rule: how often it found the grid's best, how far behind it was on average, its share of the grid's time,
    and how often it found the best within a third of it."""

    name: str
    found: float
    behind: float
    share: float
    both: float

    def __str__(self) -> str:
        found, share, both = (f"{100 * each:.0f} %" for each in (self.found, self.share, self.both))
        return f"| {self.name} | {found} | {self.behind:.4f} | {share} | {both} |"


def worth(runs: Sequence[Run], name: str, search: Callable[[Sequence[Run]], Outcome]) -> Worth:
    whole, top = sum(run["seconds"][-1] for run in runs), max(max(run["validations"]) for run in runs)
    told = list[Outcome]()
    for seed in range(ORDERS):
        order = list(runs)
        random.Random(seed).shuffle(order)
        told.append(search(order))
    hits = [best >= top for best, _ in told]
    shares = [seconds / whole for _, seconds in told]
    both = [hit and share <= 1 / 3 for hit, share in zip(hits, shares, strict=True)]
    return Worth(name, mean(hits), mean(top - best for best, _ in told), mean(shares), mean(both))


def every(runs: Sequence[Run]) -> Iterator[Worth]:
    for first, eta, best in product((1, 2, 3, 5), (2, 3, 4), (False, True)):
        for up, slack in ((False, 0.0), (True, 0.0), (True, 1.0)):
            rule = Rule(first, eta, best, up, slack)
            yield worth(runs, f"stopping: {rule}", lambda order, rule=rule: stopping(order, rule))
        rule = Rule(first, eta, best)
        yield worth(runs, f"promoting: {rule}", lambda order, rule=rule: promoting(order, rule))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for file in parser.parse_args().files:
        found = list(every(list(_complete(json.loads(file.read_text())["runs"]).values())))
        print(f"\n{file.name}, {len(found)} rules, {ORDERS} orders each\n")
        print("| rule | found the best | behind it | share of time | found within a third |\n" + "|---" * 5 + "|")
        default = [each for each in found if each.name.startswith("stopping: first 1, eta 3") and "floor" in each.name]
        often = sorted(found, key=lambda each: -each.both)[:3]
        near = sorted((each for each in found if each.share <= 1 / 3), key=lambda each: each.behind)[:3]
        for each in dict.fromkeys([*default, *often, *near]):
            print(each)


if __name__ == "__main__":
    main()
