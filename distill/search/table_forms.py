"""A study's table as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from distill.search.objectives import COSTS, Objective
from distill.search.statistics import Paired, Spread
from distill.search.table import BAD, BASE, STATES, Row, Table


def to_csv(table: Table, objectives: Sequence[Objective]) -> str:
    """A header and a line a row: numbers in full, places of the space by their pointers."""
    places = _places(table)
    names = _columns(objectives)
    head = ["configuration", *places, *(f"{name}{part}" for name in names for part in ("", "_sd", "_n"))]
    head += ["difference", "difference_low", "difference_high", "difference_n", "verdict", "trials", *STATES, *BAD]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in table.rows:
        writer.writerow([row.configuration, *_cells(row, places, names)])
    return text.getvalue()


def _cells(row: Row, places: Sequence[str], names: Sequence[str]) -> list[Any]:
    cells: list[Any] = [plain(row.assignment[place]) if place in row.assignment else "" for place in places]
    for name in names:
        found = row.values.get(name)
        cells += ["", "", ""] if found is None else [found.mean, _or_empty(found.sd), found.n]
    difference = row.difference
    cells += [""] * 5 if difference is None else [
        difference.mean, _or_empty(difference.low), _or_empty(difference.high), difference.n, difference.verdict,
    ]  # fmt: skip
    return cells + [row.runs[name] for name in ("trials", *STATES, *BAD)]


def _columns(objectives: Sequence[Objective]) -> list[str]:
    return list(dict.fromkeys([*(each.name for each in objectives), *COSTS]))


def _places(table: Table) -> list[str]:
    return list(dict.fromkeys(place for row in table.rows for place in row.assignment))


def _or_empty(value: float | None) -> Any:
    return "" if value is None else value


def plain(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return "'" + text if text[:1] in tuple("=+-@\t\r") and not _number(value) else text  # no formula in a spreadsheet


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_markdown(table: Table, objectives: Sequence[Objective], title: str, result: Mapping[str, Any] | None) -> str:
    """The table for people, with what it does and does not say."""
    places, names = _places(table), [each.name for each in objectives]
    head = [
        "configuration",
        *places,
        *names,
        "against the base job",
        "trials",
        "diverged",
        "at chance",
        "failed",
        "pruned",
    ]
    lines = [f"# {_cell(title)}", ""]
    lines += [str(result["reading"]), ""] if result and "reading" in result else []
    lines += ["| " + " | ".join(_cell(each) for each in head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(_marked(row, places, names)) + " |" for row in table.rows]
    lines += [
        "",
        "Mean ± standard deviation over the seeds (n) of the search, on validation samples. " + _corrected(table),
    ]
    return "\n".join(lines + _tests(table)) + "\n"


def _marked(row: Row, places: Sequence[str], names: Sequence[str]) -> list[str]:
    number = "0 (base job)" if row.configuration == BASE else str(row.configuration)
    values = [_cell(plain(row.assignment[place])) if place in row.assignment else "" for place in places]
    runs = row.runs
    failed = runs["failed"] - runs["diverged"] - runs["at_chance"]
    return [
        number,
        *values,
        *(_spread_text(row.values.get(name)) for name in names),
        _difference_text(row.difference),
        *(str(each) for each in (runs["trials"], runs["diverged"], runs["at_chance"], failed, runs["pruned"])),
    ]


def _spread_text(found: Spread | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:.5g}" + ("" if found.sd is None else f" ± {found.sd:.2g}") + f" ({found.n})"


def _difference_text(found: Paired | None) -> str:
    if found is None:
        return "-"
    if found.low is None:
        return f"{found.mean:+.3g}: {found.verdict}"
    return f"{found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g}): {found.verdict}"


def _corrected(table: Table) -> str:
    if not table.comparisons:
        return "No difference has an interval: that takes two seeds in common with the base job."
    return (
        f"Differences are paired by seed; their t intervals hold together with 95 % (Bonferroni, {table.comparisons} "
        "comparisons)."
    )


def _tests(table: Table) -> list[str]:
    rows = [row for row in table.rows if row.test]
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name in row.test))
    lines = ["", "## Test set, read once, of what is reported", ""]
    lines += ["| configuration | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    return lines + [
        f"| {row.configuration} | " + " | ".join(_spread_text(row.test.get(name)) for name in names) + " |"
        for row in rows
    ]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
