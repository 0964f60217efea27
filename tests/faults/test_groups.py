"""Two processes that train one job, and a rank, the launcher or the worker that is lost: scenario 20."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from tests.faults import processes
from tests.faults.conftest import CONFIG, Figure, MakeSite
from tests.faults.evidence import STUDENT, Story, told
from tests.faults.site import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
TWO = {"RETORT_DEVICES_PER_SLOT": "2", "RETORT_CANCEL_GRACE_SECONDS": "10"}
#: Several seconds of training, with a checkpoint each second.
STEPS = CONFIG | {"epochs": 100}


def started(site: Site, **body: Any) -> str:
    return site.submit(config=STEPS, resources={"processes": 2}, **body)


def family(site: Site, job_id: str, attempt: int = 1) -> list[psutil.Process]:
    """The launcher and its ranks, in their order, once both are there."""

    def ranks() -> list[psutil.Process]:
        trainer = site.trainer(job_id)
        children = psutil.Process(trainer.pid).children() if trainer.attempt == attempt else []
        found = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return [psutil.Process(trainer.pid), *sorted(found, key=lambda each: each.create_time())]

    return until(lambda: found if len(found := ranks()) == 3 else None, 60)


def gone(every: list[psutil.Process]) -> bool:
    return not any(processes.alive(each.pid) for each in every)


def ended(site: Site, job_id: str, outcomes: list[str]) -> Story:
    site.wait(job_id, 300, status="succeeded")
    story = told(site, job_id)
    assert story.outcomes == outcomes
    assert STUDENT in story.artifacts
    return story


def test_20_kill_9_a_rank(make_site: MakeSite, figure: Figure) -> None:
    """While it scores and while it trains: the group ends at once, the error says which rank, and the job goes on."""
    site = make_site(**TWO)
    site.worker("w")
    job_id = started(site)
    until(lambda: site.job(job_id)["phase"] == "scoring", 120)
    first = family(site, job_id)
    first[1].kill()
    killed = time.monotonic()
    until(lambda: gone(first), 10)
    figure("20: a rank killed until its group is gone", time.monotonic() - killed, "s")
    site.checkpointed(job_id, attempt=2)
    second = family(site, job_id, 2)
    second[2].kill()
    until(lambda: gone(second), 10)
    story = ended(site, job_id, ["failed", "failed", "succeeded"])
    errors = [row["error"] for row in story.attempts[:2]]
    found = [(error["code"], error["details"]["rank"], error["details"]["signal"]) for error in errors]
    assert found == [("trainer_crashed", 0, "SIGKILL"), ("trainer_crashed", 1, "SIGKILL")]
    assert gone([*first, *second])


def test_20_kill_9_the_launcher(make_site: MakeSite) -> None:
    site = make_site(**TWO)
    site.worker("w")
    job_id = started(site)
    site.checkpointed(job_id)
    every = family(site, job_id)
    every[0].kill()
    until(lambda: gone(every), 10)
    ended(site, job_id, ["failed", "succeeded"])


def test_20_kill_9_the_worker(make_site: MakeSite, figure: Figure) -> None:
    """Launcher and ranks end themselves; the job waits for a worker whose slots have two devices."""
    site = make_site(**TWO)
    worker = site.worker("a")
    job_id = started(site)
    site.checkpointed(job_id)
    every = family(site, job_id)
    worker.kill()
    killed = time.monotonic()
    until(lambda: gone(every), 5)
    figure("20: worker killed until its group has ended itself", time.monotonic() - killed, "s")
    site.worker("narrow", RETORT_DEVICES_PER_SLOT="1")
    site.wait(job_id, 120, status="queued")
    site.worker("a")  # where the lost one was: it sweeps what that left
    ended(site, job_id, ["worker_lost", "succeeded"])


@pytest.mark.parametrize("phase", ["scoring", "distilling"])
def test_20_cancel(make_site: MakeSite, phase: str) -> None:
    site = make_site(**TWO)
    site.worker("w")
    job_id = started(site)
    until(lambda: site.job(job_id)["phase"] == phase, 120)
    every = family(site, job_id)
    site.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    site.wait(job_id, 15, status="cancelled")
    assert gone(every)
    assert told(site, job_id).outcomes == ["cancelled"]
    assert site.emptied(job_id)


def test_20_pause_and_resume(make_site: MakeSite) -> None:
    site = make_site(**TWO)
    site.worker("w")
    job_id = started(site)
    site.checkpointed(job_id)
    every = family(site, job_id)
    site.http.post(f"/jobs/{job_id}/pause").raise_for_status()
    site.wait(job_id, 60, status="paused")
    assert gone(every)
    site.http.post(f"/jobs/{job_id}/resume").raise_for_status()
    ended(site, job_id, ["handed_over", "succeeded"])
