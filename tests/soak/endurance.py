"""`make soak MINUTES=30`: mixed load and random kills; nothing lost, memory flat."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from store.states import TERMINAL
from store.tidying import orphans
from tests.faults import evidence, processes
from tests.faults.site import Services, Site, until
from tests.integration.main_job import all_events
from tests.services.processes import Server, free_ports, port_answers
from tests.soak.chaos import Chaos
from tests.soak.load import Load
from tests.soak.memory import Sampler, Trend
from tests.soak.receiver import Receiver, receiving

MINUTES = float(os.environ.get("MINUTES", "30"))
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "soak.md"
#: What one hour may add to a process that is warm; a short run sees mostly noise, so it may drift by this at least.
MOST_MIB_PER_HOUR, NOISE_MIB = 40.0, 25.0
END_SECONDS = 300.0
ENDS = {
    "tiny": {"succeeded"},
    "steady": {"succeeded"},
    "real": {"succeeded"},
    "refused": {"failed"},
    "crashes": {"failed"},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(MINUTES * 60 + 3 * END_SECONDS + 900))]


def test_nothing_is_lost_and_memory_is_flat(services: Services, tmp_path: Path) -> None:
    open_to_us = {"RETORT_WEBHOOK_HTTP_HOSTS": "127.0.0.1", "RETORT_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    quick = {"RETORT_WEBHOOK_RETRY_SECONDS": "0.5", "RETORT_RATE_LIMIT_PER_SECOND": "0", "RETORT_TIDY_SECONDS": "60"}
    with closing(Site(tmp_path, services, **open_to_us | quick)) as site, receiving() as receiver:
        site.start_api()
        site.http.post("/webhooks", json={"url": receiver.url, "events": ["*"]}).raise_for_status()
        api, port = _second_api(site)
        try:
            _endure(site, api, port, receiver)
        finally:
            api.stop()


def _endure(site: Site, api: Server, port: int, receiver: Receiver) -> None:
    spared, *victims = [_worker(site, name) for name in ("spared", "victim1", "victim2")]
    urls = [f"http://127.0.0.1:{site.port}", f"http://127.0.0.1:{port}"]
    load, chaos = Load(urls, site.services.body or {}, per_second=6), Chaos(site, victims, api, port)
    memory = Sampler({"API": site.api.pid, "worker": spared.pid})
    started = time.monotonic()
    for thread in (memory, load, chaos):
        thread.start()
    time.sleep(MINUTES * 60)
    chaos.end()
    load.end()
    loaded = time.monotonic() - started
    _all_ended(site, load)
    ended = time.monotonic() - started
    trends = memory.end()
    statuses, attempts = _judge(site, load)
    _told(receiver, load, statuses)
    assert load.broken == []
    left = orphans.find(site.database, _store(site))
    _report(load, chaos, trends, statuses, attempts, receiver, loaded, ended, len(left))
    for each in trends:
        assert each.drift_mib < max(NOISE_MIB, MOST_MIB_PER_HOUR * MINUTES / 60), each
    assert site.retort.system()["workers"]


def _worker(site: Site, name: str) -> Server:
    server = site._server(name, (sys.executable, "-m", "tests.soak.launch"))
    site.workers.append(server)
    site.start_worker(server)
    return server


def _second_api(site: Site) -> tuple[Server, int]:
    (port,) = free_ports(1)
    server = site._server("api2", (sys.executable, "-m", "api"))
    server.environment = (server.environment or {}) | {"RETORT_PORT": str(port)}
    server.start(lambda: port_answers(port))
    return server, port


def _store(site: Site) -> Any:
    from store.objects import open_store
    from store.settings import Settings
    from tests.services.s3 import ACCESS_KEY, SECRET_KEY

    bucket = site.environment["RETORT_S3_BUCKET"]
    given: dict[str, Any] = {"s3_endpoint": site.s3.endpoint, "s3_bucket": bucket, "s3_access_key": ACCESS_KEY}
    return open_store(Settings(data_dir=site.folder, s3_secret_key=SECRET_KEY, **given))


def _all_ended(site: Site, load: Load) -> None:
    """Every accepted job ends by itself; one whose resume was refused while it was still pausing is resumed."""

    def done() -> bool:
        counted = site.retort.system()["jobs"]
        if counted.get("paused"):
            for job in site.retort.jobs(status=["paused"]):
                site.retort.act(job["id"], "resume")
        return not any(number for status, number in counted.items() if status not in TERMINAL)

    until(done, END_SECONDS, lambda: site.retort.system()["jobs"])


def _judge(site: Site, load: Load) -> tuple[dict[str, str], Counter[str]]:
    """Every job's end and history; outcomes of attempts."""
    statuses: dict[str, str] = {}
    outcomes: Counter[str] = Counter()
    for job_id, kind in load.accepted.items():
        job = site.job(job_id)
        statuses[job_id] = job["status"]
        allowed = ENDS[kind] | ({"cancelled"} if "cancel" in load.asked.get(job_id, ()) else set())
        assert job["status"] in allowed, (kind, job["status"], job["error"], load.asked.get(job_id))
        if job["status"] == "cancelled":
            assert site.items(job_id, "artifacts") + site.items(job_id, "checkpoints") == []
            seqs = [event["seq"] for event in all_events(site.http, job_id)]
            assert seqs == list(range(1, len(seqs) + 1))
        else:
            outcomes.update(evidence.told(site, job_id).outcomes)
    listed = {job["id"] for job in site.retort.jobs()}
    assert set(load.accepted) <= listed
    # Jobs whose answer was lost and whose key was sent again are one job: none is there that nobody asked for.
    assert len(listed - set(load.accepted)) <= len(load.broken)
    assert [
        process.pid for process in processes.naming(f"{site.folder}/") if "tests.soak.program" in process.cmdline()
    ] == []
    return statuses, outcomes


def _told(receiver: Receiver, load: Load, statuses: dict[str, str]) -> None:
    """Every end was told, at least once."""
    until(lambda: set(statuses) <= set(receiver.ended), 60, lambda: len(set(statuses) - set(receiver.ended)))
    assert {job_id: receiver.ended[job_id] for job_id in statuses} == statuses


def _report(  # noqa: PLR0913 - fixtures and figures
    load: Load,
    chaos: Chaos,
    trends: list[Trend],
    statuses: dict[str, str],
    attempts: Counter[str],
    receiver: Receiver,
    loaded: float,
    ended: float,
    left: int,
) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    latencies = sorted(load.latencies)
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {loaded / 60:.1f} minutes of load",
        "",
        f"Commit {commit.strip() or 'unknown'}; {platform.machine()}, {os.cpu_count()} cores (load average "
        f"{os.getloadavg()[1]:.1f}: others may have used the machine), Python {platform.python_version()}.",
        "",
        "| | |",
        "|---|---|",
        f"| jobs accepted, all of them ended as they should | {len(statuses)}: {_listed(Counter(statuses.values()))} |",
        f"| of kind | {_listed(Counter(load.accepted.values()))} |",
        f"| attempts by outcome | {_listed(attempts)} |",
        f"| faults | {_listed(chaos.done)} |",
        f"| jobs a minute, while loaded | {60 * len(statuses) / loaded:.1f} |",
        f"| from the end of the load to the end of the last job | {ended - loaded:.0f} s |",
        f"| answers | {_listed(load.answers)} |",
        f"| time of an answer: p50, p95, p99 | {_ms(latencies, 0.5)}, {_ms(latencies, 0.95)}, {_ms(latencies, 0.99)} |",
        f"| webhook messages, every tenth refused | {receiver.messages}, {receiver.repeated} of them told twice |",
        f"| objects that no row names, for the sweep of orphans | {left} |",
        "",
        "| resident memory behind the warm-up | first MiB | last MiB | most MiB | slope MiB/h | drift MiB |",
        "|---|---|---|---|---|---|",
    ]
    for each in trends:
        figures = (each.first_mib, each.last_mib, each.peak_mib, each.slope_mib_per_hour, each.drift_mib)
        lines.append(f"| {each.name} | " + " | ".join(f"{value:.1f}" for value in figures) + " |")
    text = "\n".join(lines)
    print("\n" + text)
    if os.environ.get("WRITE") == "1":
        RESULTS.write_text((RESULTS.read_text() if RESULTS.exists() else HEAD) + "\n" + text + "\n")


HEAD = """# Endurance

`make soak` (`tests/soak`): two APIs and three workers over real Postgres, Redis and S3, mixed load, and a random fault
every 4 to 12 seconds. One API and one worker are spared, so that their memory can be followed; the others are killed,
ended, stopped past their leases. The run fails unless every accepted job has ended as its kind must, with a history
without gap or double, one winner, files by their sha256, nothing left running, and its end told to a webhook; and
unless the spared processes' memory is flat. Most jobs are a trainer that says in no time all that a job says; `real`
ones train.
"""


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.most_common()) or "none"


def _ms(values: list[float], share: float) -> str:
    return f"{1000 * values[min(len(values) - 1, int(share * len(values)))]:.0f} ms" if values else "-"
