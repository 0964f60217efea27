"""A job that is followed while it runs: what a worker's lanes do, from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient

from distill.types import Event
from store.repositories.leases import Lease
from tests.publishing.world import World
from tests.slowness import within

SECONDS = 60


def submitted(world: World, client: TestClient, *publish: dict[str, Any], **body: Any) -> dict[str, Any]:
    """A job that trains nothing here: the tests say what it says."""
    sent = {"dataset": world.driver.dataset(task="classify_images"), "student": "retort:resnet8", "name": "birds"}
    sent["config"] = {"recipe": "cross_entropy", "epochs": 3}
    answer = client.post("/jobs", json=sent | {"publish": list(publish)} | body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def publication(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    (found,) = client.get(f"/jobs/{job['id']}/publications").json()["items"]
    assert isinstance(found, dict)
    return found


def say(world: World, lease: Lease, *steps: int) -> None:
    for step in steps:
        data = {"step": step, "epoch": step / 3, "split": "train", "values": {"loss": 1.0 / step}}
        world.driver.record(lease, Event("metrics", data))


@contextmanager
def followed(world: World, made: dict[str, Any]) -> Iterator[list[str | None]]:
    """An attempt that follows the job; how it ended, once the block is left: its job's claim must have ended then."""
    ended: list[str | None] = []
    thread = threading.Thread(target=lambda: ended.append(world.run(made, "live")), daemon=True)
    thread.start()
    yield ended
    thread.join(within(SECONDS))
    assert not thread.is_alive()
