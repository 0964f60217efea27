"""The table of a study through the API: figures by arm, differences to the baseline of the same seed, by class."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.jobs import Service

Arms = dict[str, dict[int, Any]]
"""Finished jobs, or their reports, by arm and seed."""


@dataclass(frozen=True)
class Shown:
    """What a table shows, in per cent: the metric `primary`, `others`, and `by_class`, what `per_class` of a report is;
    each but the last a pair of its name in reports and its title."""

    primary: tuple[str, str]
    others: tuple[tuple[str, str], ...]
    by_class: str

    @property
    def columns(self) -> list[str]:
        title = self.primary[1]
        return [
            "network", "seeds", f"{title}, %", "sd", "over labels alone, points",
            *(f"{other}, %" for _, other in self.others), "agreement, %", "training, s", f"each seed's {title}, %",
        ]  # fmt: skip


def table(
    service: Service, arms: Arms, baseline: str, title: str, shown: Shown, about: Callable[[Any, Any, int], str]
) -> str:
    """Markdown. `about`: a report, the teacher's figures (None: no teacher yet) and the number of steps -> what the
    jobs have in common."""
    reports = {arm: {seed: service.report(job["id"]) for seed, job in jobs.items()} for arm, jobs in arms.items()}
    every = [report for by_seed in reports.values() for report in by_seed.values()]
    teacher = next((report["teacher"] for report in every if report["teacher"]), None)
    plain = reports.get(baseline, {})
    steps = next(job["progress"]["total_steps"] for jobs in arms.values() for job in jobs.values())
    return "\n".join([
        f"# {title}, through the API",
        "",
        about(every[0], teacher, steps),
        "",
        f"| {' | '.join(shown.columns)} |",
        "|---" * len(shown.columns) + "|",
        *([_teacher_row(teacher, shown)] if teacher else []),
        *(_row(arm, each, plain if arm != baseline else {}, shown) for arm, each in reports.items()),
        "",
        f"{shown.by_class} by class, mean over these seeds, %:",
        "",
        *_by_class(teacher, reports),
        "",
    ])  # fmt: skip


def deviation(values: Sequence[float]) -> str:
    """The sample deviation of at least two values."""
    return f"{statistics.stdev(values):.2f}" if len(values) > 1 else "-"


def summary(values: Sequence[float]) -> str:
    """Cells of a table: mean, deviation, and every value."""
    return f"{statistics.mean(values):.2f} | {deviation(values)} | {', '.join(f'{value:.2f}' for value in values)}"


def _teacher_row(teacher: Any, shown: Shown) -> str:
    primary = _percent(teacher, shown.primary[0])
    others = [f"{_percent(teacher, name):.2f}" for name, _ in shown.others]
    return f"| {' | '.join(['teacher', '-', f'{primary:.2f}', '-', '-', *others, '-', '-', '-'])} |"


def _row(arm: str, reports: dict[int, Any], baseline: dict[int, Any], shown: Shown) -> str:
    students = [report["student"] for report in reports.values()]
    primary = shown.primary[0]
    values = {seed: _percent(report["student"], primary) for seed, report in reports.items()}
    others = {seed: _percent(report["student"], primary) for seed, report in baseline.items()}
    leads = [values[seed] - others[seed] for seed in values if seed in others]
    agreed = [_percent(student, "agreement") for student in students if student.get("agreement")]
    cells = [
        f"student, {arm}", ", ".join(map(str, values)), f"{statistics.mean(values.values()):.2f}",
        deviation(list(values.values())), _lead(leads),
        *(f"{statistics.mean(_percent(student, name) for student in students):.2f}" for name, _ in shown.others),
        f"{statistics.mean(agreed):.2f}" if agreed else "-",
        f"{statistics.mean(report['training']['seconds'] for report in reports.values()):.0f}",
        ", ".join(f"{value:.2f}" for value in values.values()),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _lead(leads: Sequence[float]) -> str:
    if not leads:
        return "-"
    return f"{statistics.mean(leads):+.2f}" + (f" ± {statistics.stdev(leads):.2f}" if len(leads) > 1 else "")


def _by_class(teacher: Any | None, reports: Arms) -> list[str]:
    columns = {"teacher": [teacher]} if teacher else {}
    columns |= {arm: [report["student"] for report in each.values()] for arm, each in reports.items()}
    names = next(iter(columns.values()))[0]["per_class"]
    rows = [[name, *(_of_class(networks, name) for networks in columns.values())] for name in names]
    return [
        f"| class | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _of_class(networks: Sequence[Any], name: str) -> str:
    values = [each["per_class"][name]["value"] for each in networks]
    return "-" if None in values else f"{100 * statistics.mean(values):.1f}"


def _percent(figures: Any, name: str) -> float:
    """Of a figure with or without its interval."""
    found = figures[name]
    return float(100 * (found["value"] if isinstance(found, dict) else found))
