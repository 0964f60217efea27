"""A study as a table: a row a configuration, with its spread over seeds and its difference to the base job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill.search.objectives import Objective
from distill.search.statistics import Paired, Spread, paired, spread

BASE = 0
#: Outcomes of failed runs that say something of their configuration.
BAD = ("diverged", "at_chance")
STATES = ("active", "succeeded", "pruned", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Run:
    """One trial. `values`: of objectives and costs; `test`: on the test set, of what is reported."""

    configuration: int
    seed: int
    purpose: str
    assignment: Mapping[str, Any]
    state: str
    outcome: str | None
    values: Mapping[str, float] | None
    test: Mapping[str, float] | None


@dataclass(slots=True)
class Row:
    """`values`: spreads over the seeds of the search that ran to their end; `difference`: of the first objective to the
    base job on the same seeds; `runs`: how many trials are in which state, diverged and at-chance ones counted among
    the failed; `unused`: trials of the search that no mean is of, by why, each counted once; `test`: spreads on the
    test set, search and confirmation together."""

    configuration: int
    assignment: Mapping[str, Any]
    runs: dict[str, int] = field(default_factory=dict)
    values: dict[str, Spread] = field(default_factory=dict)
    difference: Paired | None = None
    unused: dict[str, int] = field(default_factory=dict)
    test: dict[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """`comparisons`: how many differences have an interval, by which each is corrected."""

    rows: list[Row]
    comparisons: int


def tabulate(runs: Iterable[Run], objectives: Sequence[Objective]) -> Table:
    """Best mean of the first objective first, rows without one last; those alike by their number."""
    by_configuration: dict[int, list[Run]] = {}
    for run in runs:
        by_configuration.setdefault(run.configuration, []).append(run)
    first = objectives[0]
    by_seed = {number: _by_seed(found, first.name) for number, found in by_configuration.items()}
    base = by_seed.get(BASE, {})
    comparisons = sum(number != BASE and len(base.keys() & own.keys()) > 1 for number, own in by_seed.items())
    rows = [_row(number, found) for number, found in by_configuration.items()]
    for row in rows:
        if row.configuration != BASE:
            row.difference = paired(by_seed[row.configuration], base, first.maximised, comparisons)
    return Table(sorted(rows, key=lambda row: _rank(row, first)), comparisons)


def _by_seed(runs: Sequence[Run], name: str) -> dict[int, float]:
    return {run.seed: run.values[name] for run in _done(runs) if run.values and name in run.values}


def _done(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.state == "succeeded" and run.purpose == "search"]


def _row(number: int, runs: Sequence[Run]) -> Row:
    row = Row(number, runs[0].assignment, _counted(runs))
    row.values = _spreads([run.values for run in _done(runs)])
    row.unused = _unused(runs)
    row.test = _spreads([run.test for run in runs])
    return row


def _counted(runs: Sequence[Run]) -> dict[str, int]:
    found = {"trials": len(runs)} | dict.fromkeys((*STATES, *BAD), 0)
    for run in runs:
        found[run.state] += 1
        if run.outcome in BAD:
            found[run.outcome] += 1
    return found


def _unused(runs: Sequence[Run]) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        if run.purpose == "search" and run.state != "succeeded":
            why = run.outcome if run.outcome in BAD else run.state
            found[why] = found.get(why, 0) + 1
    return found


def _spreads(given: Sequence[Mapping[str, float] | None]) -> dict[str, Spread]:
    columns: dict[str, list[float]] = {}
    for values in given:
        for name, value in (values or {}).items():
            columns.setdefault(name, []).append(value)
    return {name: found for name, column in columns.items() if (found := spread(column)) is not None}


def _rank(row: Row, first: Objective) -> tuple[bool, float, int]:
    found = row.values.get(first.name)
    mean = 0.0 if found is None else found.mean
    return found is None, -mean if first.maximised else mean, row.configuration
