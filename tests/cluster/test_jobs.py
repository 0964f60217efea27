"""Jobs on two hosts of a Ray cluster, and what is lost or asked for meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.nodes import Nodes
from tests.faults import processes
from tests.faults.conftest import CONFIG, MakeSite
from tests.faults.evidence import STUDENT, Story, told
from tests.faults.site import Site, until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
TWO = {"processes": 2, "hosts": 2}
#: Several seconds of training, with a checkpoint each second.
STEPS = CONFIG | {"epochs": 100}


@pytest.fixture
def site(make_site: MakeSite, nodes: Nodes, tmp_path: Path) -> Site:
    """With a worker that reaches the cluster."""
    made = make_site(RETORT_RAY_ADDRESS=nodes.address, RETORT_RAY_SHARED_DIR=str(tmp_path / "shared"))
    made.worker("w")
    reached(made)
    return made


def reached(site: Site, hosts: int = 2) -> None:
    """The worker has said that its cluster has so many hosts."""
    body = (site.services.body or {}) | {"resources": {"processes": hosts, "hosts": hosts}}
    until(lambda: site.http.post("/jobs?dry_run=true", json=body).status_code == 200, 120)


def ranks(site: Site, job_id: str, attempt: int = 1) -> list[psutil.Process]:
    """Processes that train, once both are there."""

    def found() -> list[psutil.Process]:
        launchers = [each for each in processes.naming(f"{job_id}/{attempt}") if "worker.jobs.group" in command(each)]
        below = [child for each in launchers for child in each.children() if "spawn_main" in command(child)]
        return below if len(below) == 2 else []

    return until(found, 120, lambda: site.job(job_id))


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def gone(site: Site, nodes: Nodes, job_id: str) -> None:
    """No process and no actor of the job is left, nor its folder."""
    assert not [command(each) for each in processes.naming(job_id)]
    script = (
        "import ray, sys; from ray.util import list_named_actors\n"
        "ray.init(sys.argv[1], namespace='retort', log_to_driver=False, configure_logging=False)\n"
        "print(list_named_actors(), ray.available_resources().get('CPU'))"
    )
    asked = [sys.executable, "-c", script, nodes.address]
    until(lambda: subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "[] 2.0", 30, lambda: asked)
    assert not list(site.folder.parent.glob(f"shared/*/{job_id}"))


def ended(site: Site, job_id: str, outcomes: list[str]) -> Story:
    site.wait(job_id, 300, status="succeeded")
    story = told(site, job_id)
    assert story.outcomes == outcomes
    assert STUDENT in story.artifacts
    return story


def errors(story: Story) -> list[tuple[str, Any]]:
    found = [row["error"] for row in story.attempts if row["error"]]
    return [(error["code"], error["details"].get("rank")) for error in found]


def test_a_node_that_is_lost_costs_an_attempt_and_the_job_goes_on_when_there_is_another(
    site: Site, nodes: Nodes
) -> None:
    job_id = site.submit(config=STEPS, resources=TWO)
    step = site.checkpointed(job_id)
    first = ranks(site, job_id)
    nodes.lose("second")
    until(lambda: site.job(job_id)["status"] == "queued", 120, lambda: site.job(job_id))
    assert not any(processes.alive(each.pid) for each in first)
    until(lambda: "2 hosts" in (site.job(job_id)["waiting_for"] or ""), 60, lambda: site.job(job_id))
    nodes.join("third")
    story = ended(site, job_id, ["failed", "succeeded"])
    assert errors(story) == [("host_lost", None)]
    assert min(data["step"] for data in resumed(story)) > step - 1
    assert story.job["result"]["training"]["steps"] == 700
    gone(site, nodes, job_id)


def resumed(story: Story) -> list[dict[str, Any]]:
    return [event["data"] for event in story.events if event["attempt"] == 2 and event["kind"] == "metrics"]


@pytest.mark.parametrize("phase", ["scoring", "distilling"])
def test_a_cancelled_job_leaves_no_actor(site: Site, nodes: Nodes, phase: str) -> None:
    job_id = site.submit(config=STEPS, resources=TWO)
    until(lambda: site.job(job_id)["phase"] == phase, 120, lambda: site.job(job_id))
    ranks(site, job_id)
    site.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    site.wait(job_id, 40, status="cancelled")
    gone(site, nodes, job_id)
    assert told(site, job_id).outcomes == ["cancelled"]


def test_kill_9_a_rank_and_the_driver(site: Site, nodes: Nodes) -> None:
    job_id = site.submit(config=STEPS, resources=TWO, max_attempts=5)
    site.checkpointed(job_id)
    by_rank = {int(each.environ()["RANK"]): each for each in ranks(site, job_id)}
    by_rank[1].kill()
    site.checkpointed(job_id, 2)
    second = ranks(site, job_id, 2)
    psutil.Process(site.trainer(job_id).pid).kill()
    until(lambda: not any(processes.alive(each.pid) for each in second), 30)
    story = ended(site, job_id, ["failed", "failed", "succeeded"])
    assert errors(story)[0] == ("oom_host", 1)
    gone(site, nodes, job_id)


def test_pause_resume_and_stop(site: Site, nodes: Nodes) -> None:
    job_id = site.submit(config=STEPS | {"epochs": 1000}, resources=TWO)
    site.checkpointed(job_id)
    site.http.post(f"/jobs/{job_id}/pause").raise_for_status()
    site.wait(job_id, 60, status="paused")
    gone(site, nodes, job_id)
    site.http.post(f"/jobs/{job_id}/resume").raise_for_status()
    site.checkpointed(job_id, 2)
    site.http.post(f"/jobs/{job_id}/stop").raise_for_status()
    story = ended(site, job_id, ["handed_over", "succeeded"])
    assert story.job["stop_reason"] == "requested"
    gone(site, nodes, job_id)


def test_a_folder_that_a_host_does_not_share_is_named(make_site: MakeSite, nodes: Nodes, tmp_path: Path) -> None:
    """The node `second` sees another folder in its place."""
    shared, other = tmp_path / "shared", tmp_path / "other"
    shared.mkdir()
    other.mkdir()
    nodes.lose("second")
    mounted = f'mount --bind {other} {shared} && exec "$@"'
    nodes.join("apart", ("unshare", "--mount", "sh", "-c", mounted, "sh"))
    site = make_site(RETORT_RAY_ADDRESS=nodes.address, RETORT_RAY_SHARED_DIR=str(shared))
    site.worker("w")
    reached(site)
    job_id = site.submit(resources=TWO)
    failed = site.wait(job_id, 120, status="failed")
    assert (failed["error"]["code"], failed["error"]["fault"]) == ("folder_not_shared", "system")
    assert failed["error"]["details"]["folder"] == str(shared)
    gone(site, nodes, job_id)


def test_a_cluster_that_does_not_answer_refuses_by_name(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site(RETORT_RAY_ADDRESS="127.0.0.1:1", RETORT_RAY_SHARED_DIR=str(tmp_path))
    site.worker("w")
    body = (site.services.body or {}) | {"resources": TWO}

    def refused() -> dict[str, Any] | None:
        answer = site.http.post("/jobs?dry_run=true", json=body)
        return answer.json() if answer.status_code == 422 else None

    told = until(refused, 60)
    assert told["code"] == "no_cluster"
    assert "127.0.0.1:1" in told["detail"]
