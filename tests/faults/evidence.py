"""What must be true of a job at its end, whatever was done to the service meanwhile."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any, cast

import safetensors.torch
import torch

from distill.types import PHASES
from store.states import TRANSITIONS, Status
from tests.faults.site import Site
from tests.integration.main_job import all_events

STUDENT = "student.safetensors"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Story:
    """A job as the API tells it."""

    job: dict[str, Any]
    events: Rows
    attempts: Rows
    artifacts: dict[str, dict[str, Any]]
    metrics: Rows
    curve: Rows

    def of(self, kind: str) -> Rows:
        """The data of the events of a kind."""
        return [event["data"] for event in self.events if event["kind"] == kind]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.attempts]


def told(site: Site, job_id: str) -> Story:
    """Read everything and check what no fault may touch: events without gap or double that tell a legal history with
    one end; every metric and curve point once; one success at most, with verified files; nothing left running."""
    job = site.job(job_id)
    curve = site.http.get(f"/jobs/{job_id}/q-curve")
    story = Story(
        job,
        all_events(site.http, job_id),
        site.items(job_id, "attempts"),
        {row["name"]: row for row in site.items(job_id, "artifacts")},
        list(site.retort.metrics(job_id)),
        curve.json()["layers"] if curve.status_code == 200 else [],
    )
    _history(story)
    _numbers(story)
    _winner(site, story)
    _nothing_left(site, story)
    return story


def _history(story: Story) -> None:
    assert [event["seq"] for event in story.events] == list(range(1, len(story.events) + 1))
    statuses = [data["status"] for data in story.of("status")]
    assert statuses[-1] == story.job["status"]
    legal = [after in TRANSITIONS[cast(Status, before)] for before, after in itertools.pairwise(statuses)]
    assert all(legal), statuses
    assert statuses.count("running") == len(story.attempts)
    assert [row["number"] for row in story.attempts] == list(range(1, len(story.attempts) + 1))
    assert all(row["outcome"] for row in story.attempts), story.outcomes
    for number in range(1, len(story.attempts) + 1):
        phases = [e["data"]["phase"] for e in story.events if e["kind"] == "phase" and e["attempt"] == number]
        assert phases == sorted(phases, key=lambda phase: PHASES.index(phase)), phases


def _numbers(story: Story) -> None:
    """What the events say and what the tables hold is the same, and each of it once."""
    said = [(data["split"], data["step"]) for data in story.of("metrics")]
    assert len(said) == len(set(said))
    assert sorted(said) == sorted((row["split"], row["step"]) for row in story.metrics)
    points = [data["index"] for data in story.of("layer_quality")]
    assert points == list(range(len(points)))
    assert [layer["index"] for layer in story.curve] == points
    steps = [data["step"] for data in story.of("checkpoint")]
    assert len(steps) == len(set(steps))


def _winner(site: Site, story: Story) -> None:
    won = story.job["status"] == "succeeded"
    assert story.outcomes.count("succeeded") == int(won)
    assert not won or story.outcomes[-1] == "succeeded"
    assert (STUDENT in story.artifacts) == won
    said = sorted(data["name"] for data in story.of("artifact"))
    assert len(said) == len(set(said))
    assert sorted(story.artifacts) == ([] if story.job["status"] == "cancelled" else said)
    for name, row in story.artifacts.items():
        body = read(site, story.job["id"], name)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (row["size_bytes"], row["sha256"]), name


def _nothing_left(site: Site, story: Story) -> None:
    for worker in site.workers:
        assert not list((worker.folder / "data" / "scratch").glob(f"{story.job['id']}/*"))
    assert site.running(story.job["id"]) == []


def read(site: Site, job_id: str, name: str = STUDENT) -> bytes:
    answer = site.http.get(f"/jobs/{job_id}/artifacts/{name}", follow_redirects=True)
    return answer.raise_for_status().content


@dataclass(frozen=True)
class Reference:
    """The same job, undisturbed."""

    tensors: dict[str, torch.Tensor]
    metrics: dict[tuple[str, int], dict[str, float]]
    curve: Rows
    seconds: float


def reference(site: Site, story: Story, seconds: float) -> Reference:
    values = {(row["split"], row["step"]): row["values"] for row in story.metrics}
    return Reference(safetensors.torch.load(read(site, story.job["id"])), values, story.curve, seconds)


def succeeded(site: Site, job_id: str, undisturbed: Reference, outcomes: list[str]) -> Story:
    """It ended well, by these attempts, with what the undisturbed run has: student and curve bit for bit, and every
    metric (only those that measure time may differ)."""
    story = told(site, job_id)
    assert story.job["status"] == "succeeded", story.job["error"]
    assert story.outcomes == outcomes
    mine = reference(site, story, 0)
    assert mine.tensors.keys() == undisturbed.tensors.keys()
    for name, tensor in undisturbed.tensors.items():
        assert torch.equal(mine.tensors[name], tensor), f"{name} is not the undisturbed run's"
    missing, more = undisturbed.metrics.keys() - mine.metrics.keys(), mine.metrics.keys() - undisturbed.metrics.keys()
    assert not missing | more, f"lost: {sorted(missing)}, made up: {sorted(more)}"
    assert mine.metrics == undisturbed.metrics
    assert mine.curve == undisturbed.curve
    return story
