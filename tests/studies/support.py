"""Studies without servers: rows as the API writes them, and trials' jobs that end as a test says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from distill.types import Event
from store.database import Database
from store.ids import new_id
from store.repositories import leases, recording, studies, trials
from store.repositories.leases import Ending
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Job, Study, Trial
from tests.store.support import claimed, new_dataset, read_job
from worker.studies.memory import Memory
from worker.studies.step import Made, step

SETTINGS = Settings()
RATE = "/config/learning_rate"
SPACE = [{"pointer": RATE, "low": 1e-4, "high": 1.0, "log": True}]
Play = Callable[[Trial], float]


def base(dataset_id: str, **config: Any) -> dict[str, Any]:
    return {
        "teacher": [], "dataset": dataset_id, "student": {"name": "retort:tiny", "options": {}}, "start": None,
        "config": {"recipe": "cross_entropy", "epochs": 9} | config, "probe": None, "compare_with": None,
        "labels": {}, "priority": 0, "max_attempts": 3, "max_runtime_seconds": None, "processes": 1,
    }  # fmt: skip


def new_study(database: Database, config: dict[str, Any] | None = None, **values: Any) -> str:
    dataset_id = new_dataset(database)
    defaults: dict[str, Any] = {
        "task": "classify_images",
        "base": base(dataset_id, **config or {}),
        "space": SPACE,
        "seeds": [0],
        "confirm": 0,
        "strategy": "random",
        "strategy_parameters": {},
        "search_seed": 1,
        "resource": 9,
        "objectives": [{"name": "accuracy", "direction": "maximize", "limit": None}],
        "budget": {"trials": 5, "minutes": None, "parallel": 1},
        "inputs": [dataset_id],
    }
    row = Study(id=new_id("stu"), **{"tenant_id": DEFAULT_TENANT} | defaults | values)
    with database.write() as session:
        studies.add(session, row)
    return row.id


def stepped(database: Database, study_id: str, settings: Settings = SETTINGS, memory: Memory | None = None) -> Made:
    with database.write() as session:
        return step(session, settings, study_id, memory)


def read(database: Database, study_id: str) -> Study:
    with database.read() as session:
        return session.get_one(Study, study_id)


def all_trials(database: Database, study_id: str, *states: str) -> list[Trial]:
    with database.read() as session:
        return trials.of(session, study_id, *states)


def suggested(database: Database, study_id: str) -> list[Any]:
    """What each configuration is, in their order."""
    found = {trial.configuration: trial.assignment for trial in all_trials(database, study_id)}
    return [found[number] for number in sorted(found)]


def result_of(accuracy: float, **student: Any) -> dict[str, Any]:
    """A job's result, as far as a study reads it; on the test set a little worse."""
    metric = {"name": "accuracy", "path": "accuracy"}
    column = {"accuracy": {"value": accuracy - 0.01}, "parameters": 100, "bytes": 400, "flops": 1000} | student
    return {
        "metrics": [metric],
        "student": column | {"latency": {"median_ms": 1.5}},
        "training": {"validation": accuracy, "seconds": 2.0},
    }


def validated(database: Database, job_id: str, lease: Any, values: list[float]) -> None:
    with database.write() as session:
        for step_number, value in enumerate(values, 1):
            data = {
                "step": step_number,
                "epoch": float(step_number),
                "split": "validation",
                "values": {"accuracy": value},
            }
            recording.record(session, lease, Event("metrics", data))


def end(database: Database, job_id: str, accuracy: float | None = None, code: str = "diverged", **student: Any) -> None:
    """Bring a queued or running job to its end: with this accuracy, or failed with this code."""
    job = read_job(database, job_id)
    lease = (
        claimed(database, job_id)
        if job.status == "queued"
        else leases.Lease(job_id, job.lease_token or "", job.attempt, job.worker_id or "")
    )
    error = {"code": code, "message": "It failed.", "fault": "user", "retryable": False}
    with database.write() as session:
        if accuracy is None:
            leases.settle(session, lease, Ending("failed", "failed", error))
        else:
            recording.record(session, lease, Event("result", result_of(accuracy, **student)))
            leases.settle(session, lease, Ending("succeeded", "succeeded"))


def play(database: Database, study_id: str, accuracy: Play, most: int = 200) -> Study:
    """Steps and ended jobs in turn, until the study has ended."""
    for _ in range(most):
        stepped(database, study_id)
        found = read(database, study_id)
        active = all_trials(database, study_id, "active")
        if found.status in {"succeeded", "failed", "cancelled"}:
            return found
        assert active, f"{study_id} stands still in {found.phase}"
        assert active[0].job_id is not None
        end(database, active[0].job_id, accuracy(active[0]))
    raise AssertionError(f"{study_id} does not end")


def accuracy_of(trial: Trial) -> float:
    """Best at a learning rate of 0.03; seeds move it a little."""
    rate = trial.assignment.get(RATE, "auto")
    rate = 0.001 if rate == "auto" else rate
    return 0.9 - 0.05 * abs(math.log10(rate / 0.03)) + 0.001 * ((trial.seed + 1) * (trial.configuration + 2) * 7 % 5)


def job_of(database: Database, trial: Trial) -> Job:
    assert trial.job_id is not None
    return read_job(database, trial.job_id)
