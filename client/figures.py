"""Figures of jobs as their tasks name them: the rows of `retort jobs show` and `retort jobs compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from client.types import Job, Metric, Task

COLUMNS = ("teacher", "student", "comparison")
#: What every network costs, whatever its task: title and path in a column of a report.
COSTS = {"parameters": "parameters", "FLOPs": "flops", "bytes": "bytes", "latency, ms": "latency/median_ms"}


def metrics_of(jobs: Iterable[Job], tasks: Iterable[Task]) -> list[Metric]:
    """Of all the jobs' tasks, in the tasks' order, each name and place once."""
    known = {task["name"]: task["metrics"] for task in tasks}
    wanted = [metric for job in jobs for metric in known.get(job.get("task") or "", [])]
    return list({(metric["name"], metric["label"]): metric for metric in wanted}.values())


def columns(job: Job) -> dict[str, Mapping[str, Any]]:
    """The networks that the job's result tells of, by their role."""
    result = job["result"] or {}
    return {name: result[name] for name in COLUMNS if result.get(name)}


def rows(metrics: Sequence[Metric], networks: Sequence[Mapping[str, Any] | None]) -> list[tuple[str, list[str]]]:
    """(title, a cell a network) of every metric and cost that any of the networks has."""
    found = [(metric["label"], [_shown(metric, column) for column in networks]) for metric in metrics]
    for title, path in COSTS.items():
        found.append((title, [_plain(_at(column, path)) for column in networks]))
    return [(title, cells) for title, cells in found if any(cells)]


def _at(column: Mapping[str, Any] | None, path: str) -> Any:
    found: Any = column
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _shown(metric: Metric, column: Mapping[str, Any] | None) -> str:
    """`96.80 % (96.44 to 97.13)`; empty where there is none."""
    found = _at(column, metric["path"])
    given = found if isinstance(found, Mapping) else {"value": found}
    value, low, high = (number(metric, given.get(key)) for key in ("value", "low", "high"))
    return f"{value} ({low.removesuffix(' %')} to {high.removesuffix(' %')})" if low and high else value


def number(metric: Metric, value: Any) -> str:
    """A figure of the metric in its unit; empty for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    form = {"share": lambda x: f"{100 * x:.2f} %", "per_second": lambda x: f"{x:,.0f} /s"}
    return form.get(metric["unit"], lambda x: f"{x:.4f}")(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
