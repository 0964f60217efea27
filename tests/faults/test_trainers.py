"""Trainers that are killed, crash, run out of memory or refuse to go: scenarios 1, 12, 13."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest

from tests.faults import processes
from tests.faults.conftest import LONG_CONFIG, Figure, MakeSite
from tests.faults.evidence import Reference, succeeded, told
from tests.faults.site import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]


def test_01_kill_9_the_trainer(site: Site, undisturbed_long: Reference, figure: Figure) -> None:
    """Once while it scores and once between two checkpoints: resumed each time, and nobody can tell from the result."""
    site.worker("w")
    job_id = site.submit(config=LONG_CONFIG)
    next(event for event in site.retort.events(job_id) if event["kind"] == "layer_quality")
    first = site.trainer(job_id)
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()
    site.wait(job_id, attempt=2)
    figure("1: trainer killed until its next attempt runs", time.monotonic() - killed, "s")

    step = site.checkpointed(job_id, attempt=2)
    second = site.trainer(job_id)
    os.kill(second.pid, signal.SIGKILL)
    site.wait(job_id, attempt=3)
    third = site.trainer(job_id)
    spec = json.loads((third.folder / "spec.json").read_text())
    assert f"resume-{step}" in spec["resume_from"] or _step(spec["resume_from"]) > step
    site.wait(job_id, status="succeeded")
    story = succeeded(site, job_id, undisturbed_long, ["failed", "failed", "succeeded"])
    assert [row["exit_code"] for row in story.attempts] == [-9, -9, 0]
    assert [row["error"]["code"] for row in story.attempts[:2]] == ["trainer_crashed", "trainer_crashed"]
    assert all(trainer.gone() for trainer in (first, second, third))


def _step(path: str) -> int:
    return int(path.rpartition("resume-")[2].partition(".")[0])


@pytest.mark.parametrize(
    ("program", "code", "exit_code", "attempts", "last_line"),
    [
        ("segfault", "trainer_crashed", -signal.SIGSEGV, 2, "about to read where nothing is"),
        ("exit_137", "trainer_crashed", 137, 2, "the kernel ends me"),
        ("memory_error", "oom_host", 1, 1, "asking for more than there is"),
        ("cuda_oom", "oom_gpu", 1, 1, "the GPU is full"),
    ],
)
def test_12_a_trainer_that_crashes(
    site: Site, program: str, code: str, exit_code: int, attempts: int, last_line: str
) -> None:
    """Classified; tried again where another attempt may differ, never more than max_attempts; its last words kept.
    The same run that met the end of a memory meets it again: that is for the user to change."""
    site.worker("w", program=program)
    job_id = site.submit(max_attempts=2)
    site.wait(job_id, status="failed")
    story = told(site, job_id)
    assert story.outcomes == ["failed"] * attempts
    assert [row["exit_code"] for row in story.attempts] == [exit_code] * attempts
    assert (story.job["error"]["code"], story.job["error"]["fault"]) == (code, "system")
    assert story.job["error"]["remedy"]
    lines = [row["message"] for row in site.items(job_id, "logs") if row["attempt"] == attempts]
    assert last_line in lines
    assert all((row["peak_memory_bytes"] or 0) > 2**20 for row in story.attempts)


def test_13_a_family_that_ignores_sigterm(make_site: MakeSite, figure: Figure) -> None:
    """Trainer, child, grandchild, one in a session of its own, one there without our environment: all gone within the
    grace and 5 s more."""
    grace = 3.0
    site = make_site(RETORT_CANCEL_GRACE_SECONDS=str(grace))
    site.worker("w", program="family")
    job_id = site.submit()
    until(lambda: "ready" in [row["message"] for row in site.items(job_id, "logs")], 60)
    trainer = site.trainer(job_id)
    family = psutil.Process(trainer.pid).children(recursive=True)
    assert len(family) == 5
    started = time.monotonic()
    site.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    site.wait(job_id, grace + 5, status="cancelled")
    seconds = time.monotonic() - started
    figure(f"13: a family that ignores SIGTERM, gone after (grace {grace:g} s)", seconds, "s")
    assert seconds <= grace + 5
    assert [process.pid for process in family if processes.alive(process.pid)] == []
    assert trainer.gone()
    assert told(site, job_id).outcomes == ["cancelled"]
    assert site.emptied(job_id)
