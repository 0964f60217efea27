"""An object store that is away, fails or lies, and a scratch disk that is full: scenarios 8, 9, 14."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import s3_proxy
from tests.faults.conftest import LONG_CONFIG, Figure, MakeSite
from tests.faults.evidence import STUDENT, Reference, succeeded, told
from tests.faults.s3_proxy import Kind, Proxy
from tests.faults.site import Site, until
from tests.services.s3 import S3

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
#: How long the store is away in scenario 8.
AWAY_SECONDS = float(os.environ.get("FAULTS_S3_AWAY_SECONDS", "130"))


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with s3_proxy.running(s3.endpoint) as made:
        yield made


def test_08_s3_away_while_a_job_uploads(site: Site, proxy: Proxy, undisturbed_long: Reference, figure: Figure) -> None:
    """It stays `uploading`, says so in its log, is never called a success, and succeeds once the store is back."""
    site.worker("w", RETORT_S3_ENDPOINT=proxy.endpoint)
    job_id = site.submit(config=LONG_CONFIG)
    site.checkpointed(job_id)
    proxy.trip = "/artifacts/"
    site.wait(job_id, phase="uploading")
    back = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < back:
        job = site.job(job_id)
        assert (job["status"], job["phase"]) == ("running", "uploading")
        assert site.items(job_id, "artifacts") == []
        time.sleep(0.5)
    assert any("waiting for the object store" in row["message"] for row in site.items(job_id, "logs"))
    started = time.monotonic()
    proxy.back()
    site.wait(job_id, 60, status="succeeded")
    figure(f"8: store back after {AWAY_SECONDS:g} s until the job succeeded", time.monotonic() - started, "s")
    succeeded(site, job_id, undisturbed_long, ["succeeded"])


READS, WRITES = (("GET", "/teachers/"), ("GET", STUDENT)), (("PUT", "/checkpoints/"), ("PUT", STUDENT))


@pytest.mark.parametrize(
    ("kind", "requests", "times"),
    [
        ("error", READS + WRITES, 6),  # the S3 client itself tries a 500 four times
        ("truncated", READS, 2),  # an input that comes damaged three times is given up
        ("shortened", READS, 2),
        ("flipped", READS, 2),
        ("damaged", WRITES, 2),
        ("slow", READS + WRITES, 1),
    ],
)
def test_09_s3_fails_or_lies(
    site: Site, proxy: Proxy, undisturbed: Reference, kind: Kind, requests: tuple[tuple[str, str], ...], times: int
) -> None:
    """Reading the teacher, storing checkpoints, storing the student and reading it back: whatever comes is noticed and
    tried again."""
    site.worker("w", RETORT_S3_ENDPOINT=proxy.endpoint)
    for method, within in requests:
        proxy.add(kind, method, within, times, seconds=3)
    job_id = site.submit()
    site.wait(job_id, status="succeeded")
    succeeded(site, job_id, undisturbed, ["succeeded"])
    assert [fault for fault in proxy.faults if fault.times] == []


def test_09_a_store_that_never_stops_lying(site: Site, proxy: Proxy) -> None:
    """What it gives back of the student is never what it got: no success, however long; cancel ends it."""
    site.worker("w", program="tiny", RETORT_S3_ENDPOINT=proxy.endpoint)
    lies = proxy.add("flipped", "GET", STUDENT, times=10**6)
    job_id = site.submit()
    until(lambda: lies.times <= 10**6 - 3, 60)
    assert (site.job(job_id)["phase"], site.items(job_id, "artifacts")) == ("uploading", [])
    site.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    site.wait(job_id, 30, status="cancelled")
    assert told(site, job_id).outcomes == ["cancelled"]
    assert site.emptied(job_id)


def test_09_an_input_that_stays_damaged(site: Site, proxy: Proxy) -> None:
    """A readable failure that blames the store, at once: another attempt would read the same."""
    site.worker("w", program="tiny", RETORT_S3_ENDPOINT=proxy.endpoint)
    proxy.add("flipped", "GET", "/teachers/", times=10**6)
    job_id = site.submit()
    site.wait(job_id, 60, status="failed")
    story = told(site, job_id)
    assert (story.job["error"]["code"], story.job["error"]["fault"]) == ("input_damaged", "system")
    assert story.outcomes == ["failed"]


DISK_BYTES = 24 << 20


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own, `DISK_BYTES` large."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"DISK FULL WAS NOT TESTED: no file system can be mounted here ({made.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_14_disk_full_on_scratch(make_site: MakeSite, tmp_path: Path, undisturbed: Reference) -> None:
    """Full when the trainer writes a checkpoint, and full when the worker makes its folder: each time the user reads
    whose fault it is and what to do; the service goes on, and the same job succeeds when there is room again."""
    disk = tmp_path / "disk"
    with small_disk(disk):
        site = make_site(RETORT_SCRATCH_DIR=str(disk))
        site.worker("w")
        wide = {"name": "retort:resnet8", "options": {"width": 48}}
        job_id = site.submit(student=wide, max_attempts=2)
        _disk_full(site, job_id, ["failed", "failed"])
        small = site.submit()
        site.wait(small, status="succeeded")
        succeeded(site, small, undisturbed, ["succeeded"])

        ballast = disk / "ballast"
        _fill(ballast)
        starved = site.submit(max_attempts=2)
        _disk_full(site, starved, ["failed", "failed"])
        ballast.unlink()
        site.http.post(f"/jobs/{starved}/retry").raise_for_status()
        site.wait(starved, status="succeeded")
        succeeded(site, starved, undisturbed, ["failed", "failed", "succeeded"])
        assert not list(disk.glob("*/*"))


def _fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def _disk_full(site: Site, job_id: str, outcomes: list[str]) -> None:
    site.wait(job_id, 60, status="failed")
    story = told(site, job_id)
    assert story.outcomes == outcomes
    error = story.job["error"]
    assert (error["code"], error["fault"]) == ("disk_full", "system"), error
    assert "RETORT_SCRATCH_DIR" in error["remedy"]
