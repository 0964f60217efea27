"""Workers that die, stand still, have a wrong clock, or are asked to go: scenarios 2, 4, 15, 18."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clock import off_by
from tests.faults.conftest import LONG_CONFIG, Figure, MakeSite
from tests.faults.evidence import Reference, succeeded
from tests.faults.site import DEFAULT, Site, pause, until

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
PROMISE_SECONDS = 90.0


def test_02_kill_9_the_worker(make_site: MakeSite, undisturbed_long: Reference, figure: Figure) -> None:
    """With the default settings: its trainer ends itself at once, the lease ends after a minute, the other worker's
    housekeeping sees it, and the job goes on there."""
    site = make_site(**(DEFAULT | {"OMP_NUM_THREADS": "1"}))
    worker = site.worker("a")
    job_id = site.submit(config=LONG_CONFIG)
    site.checkpointed(job_id)
    trainer = site.trainer(job_id)
    site.worker("b")
    killed = time.time()
    worker.kill()
    until(trainer.gone, 5)
    figure("2: worker killed until its trainer has ended itself", time.time() - killed, "s")

    site.wait(job_id, 120, attempt=2)
    story_so_far = site.items(job_id, "attempts")
    noticed = datetime.fromisoformat(story_so_far[0]["finished_at"]).timestamp() - killed
    figure("2: worker killed until noticed (default settings)", noticed, "s")
    assert noticed <= PROMISE_SECONDS
    site.wait(job_id, status="succeeded")
    site.worker("a")  # what the dead one left on its disk goes with the next start there
    until(lambda: not list(site.data("a").glob("scratch/*/*")), 30)
    story = succeeded(site, job_id, undisturbed_long, ["worker_lost", "succeeded"])
    assert story.attempts[0]["error"]["code"] == "worker_lost"


def test_04_a_worker_that_stands_still_past_its_lease(site: Site, undisturbed_long: Reference, figure: Figure) -> None:
    """SIGSTOP, another takes over, SIGCONT: the first one fences itself, ends its trainer and writes nothing more."""
    still = site.worker("a")
    job_id = site.submit(config=LONG_CONFIG)
    site.checkpointed(job_id)
    first = site.trainer(job_id)
    pause(still, True)
    site.worker("b")
    site.wait(job_id, 60, attempt=2, phase="distilling")
    before = len([event for event in _events(site, job_id) if event["attempt"] == 1])
    assert not first.gone()  # nobody could end it yet: it trains for nobody

    woke = time.monotonic()
    pause(still, False)
    until(first.gone, 10)
    figure("4: worker continued until it has fenced itself and ended its trainer", time.monotonic() - woke, "s")
    site.wait(job_id, status="succeeded")
    until(lambda: not list(site.data("a").glob(f"scratch/{job_id}/*")), 10)
    story = succeeded(site, job_id, undisturbed_long, ["worker_lost", "succeeded"])
    assert len([event for event in story.events if event["attempt"] == 1]) == before
    assert "the lease is lost" in site.log("a")


def _events(site: Site, job_id: str) -> list[dict[str, Any]]:
    from tests.integration.main_job import all_events

    return all_events(site.http, job_id)


def test_15_worker_clocks_off_by_ten_minutes(site: Site, undisturbed_long: Reference, tmp_path: Path) -> None:
    """One worker lives ten minutes ahead, one ten minutes behind, for far longer than a lease: neither loses a job that
    it holds, nor takes one that another holds; a dead one is noticed as soon as ever."""
    for name, minutes in (("ahead", 10), ("behind", -10)):
        clock = off_by(minutes, tmp_path)
        assert abs(_time(clock) - time.time() - 60 * minutes) < 30
        site.worker(name, **clock)
    jobs = [site.submit(config=LONG_CONFIG) for _ in range(2)]
    for job_id in jobs:
        site.wait(job_id, status="running")
    for job_id in jobs:
        site.wait(job_id, 120, status="succeeded")
        succeeded(site, job_id, undisturbed_long, ["succeeded"])

    lost = site.submit(config=LONG_CONFIG)
    site.checkpointed(lost)
    holder = site.trainer(lost).folder.relative_to(site.folder).parts[0]
    killed = time.time()
    next(worker for worker in site.workers if worker.folder.name == holder).kill()
    site.wait(lost, 60, attempt=2)
    noticed = datetime.fromisoformat(site.items(lost, "attempts")[0]["finished_at"]).timestamp() - killed
    assert 3 < noticed < 15  # the lease is 4 s
    site.worker(holder)
    until(lambda: not list(site.data(holder).glob(f"scratch/{lost}/1")), 30)
    site.wait(lost, 120, status="succeeded")
    succeeded(site, lost, undisturbed_long, ["worker_lost", "succeeded"])


def _time(settings: dict[str, str]) -> float:
    """What a process with these settings takes the time to be."""
    told = [sys.executable, "-c", "import time; print(time.time())"]
    return float(subprocess.run(told, env=os.environ | settings, capture_output=True, check=True).stdout)


def test_18_sigterm_to_the_worker(site: Site, undisturbed_long: Reference, figure: Figure) -> None:
    """A deploy: the job is handed over with a checkpoint, uses up no attempt, and is finished elsewhere."""
    old = site.worker("old")
    job_id = site.submit(max_attempts=1, config=LONG_CONFIG)
    site.checkpointed(job_id)
    trainer = site.trainer(job_id)
    started = time.monotonic()
    old.stop(signal.SIGTERM, 30)
    figure("18: SIGTERM until the worker has handed over and gone", time.monotonic() - started, "s")
    assert trainer.gone()
    assert site.running(job_id) == []
    handed = site.job(job_id)
    assert handed["status"] == "queued"
    newest = max(row["step"] for row in site.items(job_id, "checkpoints"))
    site.worker("new")
    site.wait(job_id, attempt=2)
    spec = json.loads((site.trainer(job_id).folder / "spec.json").read_text())
    assert f"resume-{newest}." in spec["resume_from"]
    site.wait(job_id, status="succeeded")
    succeeded(site, job_id, undisturbed_long, ["handed_over", "succeeded"])
