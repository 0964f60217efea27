"""`retort jobs show` and `compare`: rows of every task's own metrics, and none of another's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distill import tasks
from distill.tasks import Metric, TaskSpec
from distill.types import Event
from tests.api.driver import Driver
from tests.client.conftest import Command


def held(column: dict[str, Any], metric: Metric, value: float) -> None:
    """Put the metric's figure where a report has it."""
    *above, last = (metric.path or metric.name).split("/")
    for key in above:
        column = column.setdefault(key, {})
    column[last] = {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 9} if metric.interval else value


def finished(driver: Driver, spec: TaskSpec) -> str:
    column: dict[str, Any] = {"parameters": 12345}
    for at, metric in enumerate(spec.metrics):
        held(column, metric, 0.5 + at / 100)
    report = {"task": spec.name, "classes": ["a"]}
    job = driver.job(name=spec.name, dataset_id=driver.dataset(task=spec.name, report=report))
    lease = driver.claim(job)
    driver.record(lease, Event("result", {"student": column, "teacher": None, "comparison": None}))
    driver.finish(lease, "succeeded")
    return job


def lines(printed: str) -> dict[str, str]:
    """The cells behind each title."""
    labels = sorted({metric.label for spec in tasks.specs() for metric in spec.metrics}, key=len, reverse=True)
    found: dict[str, str] = {}
    for line in printed.splitlines():
        label = next((label for label in labels if line.startswith(f"{label}  ")), None)
        if label:
            found[label] = line.removeprefix(label).strip()
    return found


@pytest.mark.parametrize("name", tasks.names())
def test_a_job_shows_its_tasks_figures(name: str, command: Command, driver: Driver) -> None:
    spec = tasks.spec(name)
    code, printed = command("jobs", "show", finished(driver, spec))
    assert code == 0
    assert lines(printed).keys() == {metric.label for metric in spec.metrics}
    assert "12,345" in printed
    first = lines(printed)[spec.primary.label]
    assert first.startswith("50.00 %") if spec.primary.unit == "share" else first


def test_figures_of_other_tasks_stay_empty(command: Command, driver: Driver) -> None:
    """Two tasks have the key `accuracy` and mean different figures by it."""
    one, other = tasks.spec("classify_images"), tasks.spec("generate_text")
    jobs = [finished(driver, spec) for spec in (one, other)]
    code, printed = command("jobs", "compare", *jobs)
    assert code == 0
    found = lines(printed)
    assert found[one.primary.label] == found[other.primary.label] == "50.00 % (49.00 to 51.00)"  # one cell each
    assert len(found["loss"].split()) == 2  # both have it
    assert [job["id"] for job in json.loads(command("--json", "jobs", "compare", *jobs)[1])] == jobs
