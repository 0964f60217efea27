"""A target that takes the connection and says nothing: the publication can be cancelled, and has a time limit."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.publishing.world import World, ask, look
from tests.slowness import within
from tests.waiting import until


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The URL of a listener that never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def stalled(tmp_path_factory: pytest.TempPathFactory, silent: str) -> Iterator[tuple[World, TestClient, str]]:
    """A world before that target, its API, and a finished job."""
    world = World(tmp_path_factory.mktemp("world"), huggingface_endpoint=silent)
    with world.serving() as client:
        assert client.put("/secrets/hub", json={"value": "hf_some-token"}).status_code == 200
        yield world, client, world.student()


@pytest.mark.parametrize("cancelled", [True, False])
def test_nobody_waits_for_it_for_ever(cancelled: bool, stalled: tuple[World, TestClient, str]) -> None:
    world, client, student = stalled
    world.settings = world.settings.model_copy(update={"publish_seconds": 3600 if cancelled else within(5)})
    ended: list[str | None] = []
    made = ask(client, student, "huggingface", repository="me/x", secret="hub")
    thread = threading.Thread(target=lambda: ended.append(world.run(made)))
    thread.start()
    job = made["links"]["job"]
    until(lambda: client.get(job).json()["phase"] == "publishing" or not thread.is_alive(), 60)
    if cancelled:
        assert client.post(f"{job}/cancel").status_code == 202
    thread.join(within(60))
    assert ended == ["cancelled" if cancelled else "queued"]
    attempt = client.get(f"{job}/attempts").json()["items"][-1]
    assert attempt["outcome"] == ("cancelled" if cancelled else "failed")
    assert cancelled or attempt["error"]["code"] == "target_unavailable"
    assert look(client, made)["receipt"] is None
    again = ask(client, student, "huggingface", repository="me/x", secret="hub")
    assert (again["id"] == made["id"]) is not cancelled  # one that waits to be tried again is the same
    for each in {made["id"], again["id"]}:
        client.post(f"/jobs/{each}/cancel")
