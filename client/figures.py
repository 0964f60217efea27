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
    return list({_key(metric): metric for metric in wanted}.values())


def _key(metric: Metric) -> tuple[str, str]:
    """Two tasks may have one name for different figures: then they call them differently."""
    return metric["name"], metric["label"]


def columns(job: Job) -> dict[str, Mapping[str, Any]]:
    """The networks that the job's result tells of, by their role."""
    return columns_of(job["result"] or {})


def columns_of(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The networks of a result or a report, by their role: of several teachers each by its name, then their set; those
    that a recipe delivers beside the student last."""
    teachers = result.get("teachers") or []
    each = {teacher["label"]: teacher for teacher in teachers} if len(teachers) > 1 else {}
    return each | {name: result[name] for name in COLUMNS if result.get(name)} | dict(result.get("companions") or {})


def rows(networks: Sequence[tuple[Job, Mapping[str, Any] | None]], tasks: list[Task]) -> list[tuple[str, list[str]]]:
    """(title, a cell a network) of every metric and cost that any of the networks has. A network, by its job: a metric
    is shown where the job's task has it."""
    own = [{_key(metric) for metric in metrics_of([job], tasks)} for job, _ in networks]
    columns = [column for _, column in networks]
    found = [
        (
            metric["label"],
            [_shown(metric, column) if _key(metric) in has else "" for column, has in zip(columns, own, strict=True)],
        )
        for metric in metrics_of((job for job, _ in networks), tasks)
    ]
    for title, path in COSTS.items():
        found.append((title, [_plain(_at(column, path)) for column in columns]))
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
