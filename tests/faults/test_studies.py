"""A study under whom everything dies: scenario 19. Its trials are a program of the tests; all else is the product's."""

from __future__ import annotations

import itertools
import time
from typing import Any

import httpx
import pytest

from store.repositories import study_events, trials
from store.tables import Job, Study, Trial
from tests.faults.conftest import MakeSite
from tests.faults.site import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]

RATE = "/config/learning_rate"
WANTED: dict[str, Any] = {
    "space": {RATE: {"low": 0.0001, "high": 1, "log": True}, "/config/batch_size": {"choices": [16, 32]}},
    "strategy": {"name": "tpe", "parameters": {"startup": 4}},
    "search_seed": 11,
    "seeds": 2,
    "confirm": 2,
    "budget": {"trials": 16, "parallel": 1},
}


def begun(site: Site) -> str:
    base = dict(site.services.body or {})
    base["config"] = {"recipe": "cross_entropy", "epochs": 3}
    del base["teacher"]
    answer = site.http.post("/studies", json=WANTED | {"base": base})
    assert answer.status_code == 202, answer.text
    study_id: str = answer.json()["id"]
    return study_id


def of(site: Site, study_id: str) -> list[Trial]:
    with site.database.read() as session:
        return trials.of(session, study_id)


def has_ended(site: Site, study_id: str) -> bool:
    with site.database.read() as session:
        return session.get_one(Study, study_id).status not in {"running", "paused"}


def told(site: Site, study_id: str) -> list[Any]:
    """What was suggested and what came of it."""
    return [
        (trial.number, trial.configuration, trial.seed, trial.purpose, trial.assignment, trial.state, trial.values)
        for trial in of(site, study_id)
    ]


def nothing_lost_or_doubled(site: Site, study_id: str) -> None:
    found = of(site, study_id)
    assert [trial.number for trial in found] == list(range(len(found)))
    assert len({(trial.configuration, trial.seed, trial.purpose) for trial in found}) == len(found)
    assert {trial.state for trial in found} == {"succeeded"}
    with site.database.read() as session:
        jobs = session.query(Job).filter(Job.name.startswith(f"{study_id} #")).all()
        events = study_events.after(session, study_id, 0, 10_000)
    assert {job.id for job in jobs} == {trial.job_id for trial in found}
    assert {job.status for job in jobs} == {"succeeded"}
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ends = [event.data["number"] for event in events if event.kind == "trial" and event.data["state"] != "active"]
    begins = [event.data["number"] for event in events if event.kind == "trial" and event.data["state"] == "active"]
    assert begins == ends == [trial.number for trial in found]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[Any]]:
    """What the study is when nothing happens to it; filled by the first who needs it."""
    return {}


def reference(make_site: MakeSite, undisturbed: dict[str, list[Any]]) -> list[Any]:
    if "told" not in undisturbed:
        site = make_site()
        site.worker("w", program="trial")
        study_id = begun(site)
        until(lambda: has_ended(site, study_id), 300)
        nothing_lost_or_doubled(site, study_id)
        undisturbed["told"] = told(site, study_id)
    return undisturbed["told"]


@pytest.mark.parametrize("victim", ["worker", "api", "database"])
def test_19_a_study_outlives_whoever_is_killed(
    make_site: MakeSite, undisturbed: dict[str, list[Any]], victim: str
) -> None:
    """Again and again, whenever another trial has begun: no trial is lost or twice, and the same is suggested."""
    expected = reference(make_site, undisturbed)
    site = make_site()
    workers = [site.worker(name, program="trial") for name in ("a", "b")]
    study_id = begun(site)
    strike = {"worker": _worker, "api": _api, "database": _database}[victim]
    turns = itertools.cycle(range(len(workers)))
    for number in range(1, 12, 2):
        until(lambda number=number: len(of(site, study_id)) > number or has_ended(site, study_id), 120)
        strike(site, next(turns))
    until(lambda: has_ended(site, study_id), 300)
    nothing_lost_or_doubled(site, study_id)
    assert told(site, study_id) == expected
    with pytest.raises(httpx.HTTPStatusError):
        site.http.get(f"/studies/{study_id}x").raise_for_status()
    assert site.http.get(f"/studies/{study_id}").json()["status"] == "succeeded"


def _worker(site: Site, number: int) -> None:
    """kill -9, and another begins."""
    name = "ab"[number]
    site.workers[number].kill()
    site.worker(name, program="trial")


def _api(site: Site, number: int) -> None:
    site.api.kill()
    time.sleep(0.2)
    site.start_api()


def _database(site: Site, number: int) -> None:
    """Every other time without putting anything in order."""
    postgres = site.services.postgres
    postgres.crash() if number else postgres.stop()
    time.sleep(0.3)
    postgres.start()
