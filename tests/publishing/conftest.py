"""One service, one hub and one finished student for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.publishing import hub as hub_server
from tests.publishing.hub import Hub
from tests.publishing.world import World

TOKEN, STRANGER = "hf_this-token-must-not-be-seen-anywhere", "hf_of-somebody-else"


@pytest.fixture(scope="package")
def hub() -> Iterator[Hub]:
    with hub_server.running({TOKEN: "me", STRANGER: "stranger"}) as found:
        yield found


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> World:
    return World(tmp_path_factory.mktemp("world"), huggingface_endpoint=hub.url)


@pytest.fixture(scope="package")
def client(world: World) -> Iterator[TestClient]:
    with world.serving() as client:
        for name, value in (("hub", TOKEN), ("old", "hf_a-token-that-was-revoked"), ("stranger", STRANGER)):
            assert client.put(f"/secrets/{name}", json={"value": value}).status_code == 200
        yield client


@pytest.fixture(scope="package")
def student(world: World, client: TestClient) -> str:
    return world.student()
