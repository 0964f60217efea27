"""What a study may ask for: the figure on validation samples by which a task keeps its best student, and what a student
costs. Never a figure of the test set, which is read once, when everything is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.search.plan import Direction
from distill.tasks.spec import TaskSpec

#: name -> where a job's result holds it, and in words.
COSTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "parameters": (("student", "parameters"), "parameters of the student"),
    "bytes": (("student", "bytes"), "size of the student's file, bytes"),
    "flops": (("student", "flops"), "operations a sample, a multiply-add counts 2"),
    "latency_ms": (("student", "latency", "median_ms"), "median latency of one sample on the worker, ms"),
    "seconds": (("training", "seconds"), "time of training, all attempts, seconds"),
}
#: Of data without labels: the recipe's own loss.
LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure and which way it is better; a `limit` that a winner must keep."""

    name: str
    direction: Direction
    limit: float | None = None

    @property
    def maximised(self) -> bool:
        return self.direction == "maximize"

    def keeps(self, value: float | None) -> bool:
        """Whether the value is within the limit."""
        if self.limit is None:
            return True
        return value is not None and (value >= self.limit if self.maximised else value <= self.limit)


def validated(spec: TaskSpec, labelled: bool) -> Objective:
    """The figure by which a run of the task keeps its best student."""
    if not labelled:
        return Objective(LOSS, "minimize")
    return Objective(spec.primary.name, "maximize" if spec.primary.higher_is_better else "minimize")


def values(objectives: Sequence[Objective], result: Mapping[str, Any]) -> dict[str, float]:
    """The values of the objectives, and of all costs, in a job's result; what it does not have is left out."""
    names = dict.fromkeys([*(each.name for each in objectives), *COSTS])
    return _numbers({name: _at(result, _path(name)) for name in names})


def test_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """metric -> the student's value on the test set."""
    student = result.get("student") or {}
    found = {each["name"]: _at(student, each["path"].split("/")) for each in result.get("metrics", ())}
    return _numbers(
        {name: value.get("value") if isinstance(value, Mapping) else value for name, value in found.items()}
    )


def _path(name: str) -> tuple[str, ...]:
    return COSTS[name][0] if name in COSTS else ("training", "validation")


def _at(found: Any, path: Any) -> Any:
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    plain = {name: value for name, value in found.items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in plain.items() if not isinstance(value, bool)}
