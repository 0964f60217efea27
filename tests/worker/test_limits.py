"""max_runtime: at the limit the best student is kept where there is one, and the job fails where there is none."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import update

from store.repositories import jobs
from store.tables import Attempt, Job
from tests.store.support import event_list, statuses
from tests.worker.support import World, wait_until
from worker.jobs.limits import Runtime
from worker.jobs.memory import MemoryGauge


def hold(world: World) -> None:
    """Keeps the program `steps` at its third step."""
    world.settings.scratch.mkdir(parents=True, exist_ok=True)
    (world.settings.scratch / "hold").touch()


def test_training_stops_and_the_best_student_is_kept(world: World) -> None:
    hold(world)
    world.queue(max_runtime_seconds=1)
    assert world.run("steps") == "succeeded"
    assert json.loads(world.artifact())["steps"] == 3
    assert (world.job.stop_reason, world.job.error) == ("max_runtime", None)
    assert statuses(world.database, world.job_id) == ["queued", "running", "stopping", "succeeded"]
    said = [data for _, kind, data in event_list(world.database, world.job_id) if data.get("status") == "stopping"]
    assert [data["reason"] for data in said] == ["max_runtime"]
    assert any("stopped after 1 s" in line for line in world.logs())


def test_without_a_student_the_job_fails(world: World) -> None:
    world.queue(max_runtime_seconds=1)
    started = time.monotonic()
    assert world.run("waits") == "failed"  # in phase scoring
    assert time.monotonic() - started < 20
    assert world.job.error is not None
    assert (world.job.error["code"], world.job.error["fault"]) == ("max_runtime_exceeded", "user")
    assert world.job.error["details"] == {"max_runtime_seconds": 1, "phase": "scoring"}
    assert world.nothing_left()


def test_a_trainer_that_does_not_stop_is_ended_behind_the_grace(world: World) -> None:
    world.settings.runtime_grace_seconds = 0.5
    world.queue(max_runtime_seconds=1)
    assert world.run("deaf") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "max_runtime_exceeded"
    assert "0.5 s that it had to finish" in world.job.error["message"]
    assert world.nothing_left()


def test_the_services_limit_holds_for_every_job(world: World) -> None:
    hold(world)
    world.settings.max_runtime_seconds = 1
    world.queue(max_runtime_seconds=1000)
    assert world.run("steps") == "succeeded"
    assert world.job.stop_reason == "max_runtime"


def test_earlier_attempts_count(world: World) -> None:
    world.queue(max_runtime_seconds=100)
    assert world.run("killed") == "queued"
    with world.database.write() as session:  # as if it had run for two minutes
        (first,) = jobs.attempts(session, world.job_id)
        earlier = first.started_at.timestamp() - 120
        session.execute(
            update(Attempt).values(started_at=first.started_at.fromtimestamp(earlier, first.started_at.tzinfo))
        )
    assert world.run("waits") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "max_runtime_exceeded"


def test_the_owners_stop_is_named_too(world: World) -> None:
    hold(world)
    world.queue()
    with world.running("steps", "step 3") as ended:
        world.ask("stopping")
    assert ended == ["succeeded"]
    assert world.job.stop_reason == "user"


def test_a_retry_forgets_why_it_was_stopped(world: World) -> None:
    world.queue(max_attempts=1, stop_reason="user", stop_requested=True)
    assert world.run("killed") == "failed"
    with world.database.write() as session:
        jobs.move(session, session.get_one(Job, world.job_id), "queued")
    assert (world.job.stop_reason, world.job.stop_requested) == (None, False)


@pytest.mark.parametrize(
    ("limit", "used", "phase", "verdict"),
    [
        (0, 10**6, "scoring", "goes_on"),
        (100, 0, "distilling", "goes_on"),
        (100, 99, "scoring", "goes_on"),
        (100, 101, "scoring", "fail"),
        (100, 101, "fetching", "fail"),
        (100, 101, "distilling", "stop"),
        (100, 101, "packaging", "stop"),
        (100, 111, "packaging", "fail"),
    ],
)
def test_verdicts(limit: float, used: float, phase: str, verdict: str) -> None:
    assert Runtime(limit, 10, used).verdict(phase) == verdict


def test_memory_is_known_while_it_runs(world: World) -> None:
    world.queue()
    with world.running("hungry", "ready") as ended:
        wait_until(lambda: (world.attempts[0].peak_memory_bytes or 0) > 150 * 2**20)
        assert world.attempts[0].outcome is None
        world.ask("cancelling")
    assert ended == ["cancelled"]
    assert (world.attempts[0].peak_memory_bytes or 0) > 150 * 2**20  # parent and child together


def test_a_process_that_is_gone_weighs_nothing() -> None:
    gauge = MemoryGauge(2**22 - 1)
    assert not gauge.sample()
    assert gauge.peak_bytes == 0
