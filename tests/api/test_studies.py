"""POST /studies and what follows from it, without a worker: steps are made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.repositories import jobs, study_events, trials
from store.tables import Job
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.studies.support import accuracy_of, all_trials, end, play, read, stepped

RATE = "/config/learning_rate"
SPACE: dict[str, Any] = {RATE: {"low": 1e-4, "high": 1, "log": True}}


def base(driver: Driver, **config: Any) -> dict[str, Any]:
    return {
        "dataset": driver.dataset(),
        "student": "retort:resnet8",
        "config": {"recipe": "cross_entropy", "epochs": 9} | config,
    }


def body(driver: Driver, **values: Any) -> dict[str, Any]:
    return {"base": base(driver), "space": SPACE, "seeds": 1, "budget": {"trials": 5, "parallel": 1}, "confirm": 0} | values


@pytest.fixture
def study(client: TestClient, driver: Driver) -> dict[str, Any]:
    """A study that has begun."""
    answer = client.post("/studies", json=body(driver, name="ours"))
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    found: dict[str, Any] = answer.json()
    return found


def test_a_study_runs_to_its_end_by_ordinary_jobs(client: TestClient, database: Database, study: dict[str, Any]) -> None:
    assert (study["status"], study["phase"], study["task"]) == ("running", "searching", "classify_images")
    play(database, study["id"], accuracy_of)
    shown = client.get(study["links"]["self"]).json()
    assert (shown["status"], shown["counts"]["succeeded"], shown["counts"]["configurations"]) == ("succeeded", 5, 5)
    found = client.get(study["links"]["trials"]).json()["items"]
    assert [trial["number"] for trial in found] == [0, 1, 2, 3, 4]
    for trial in found:
        job = client.get(trial["links"]["job"]).json()
        assert (job["study"], job["links"]["study"]) == (study["id"], study["links"]["self"])
        assert job["config"]["learning_rate"] == trial["assignment"].get(RATE, "auto")
        assert trial["values"]["accuracy"] == pytest.approx(job["result"]["training"]["validation"])
    assert [trial["number"] for trial in found if trial["test"]] == sorted({0, shown["result"]["winner"]})
    assert client.get("/jobs").json()["items"][0]["study"] == study["id"]
