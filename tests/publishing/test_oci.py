"""Publishing to Docker's own registry, with basic authentication."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.publishing.world import World, ask, files, look
from tests.services.processes import Server, find_program, free_ports, missing, port_answers

pytestmark = pytest.mark.services
USER, PASSWORD = "tests", "a-password-of-the-tests"
BCRYPT = "$2y$04$VjTwPs5.ah/On9hMjwSbXu9nXvShZOZERXJi8XtEz49El8Cr98RmW"
"""The password as the registry reads it, which takes bcrypt alone: Python has none from 3.13 on."""
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}", secret: of-the-tests}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, client: TestClient) -> Iterator[str]:
    for name, word in (("registry", PASSWORD), ("mistaken", "another-password")):
        assert client.put(f"/secrets/{name}", json={"value": {"username": USER, "password": word}}).status_code == 200
    program = find_program("docker-registry")
    if program is None:
        missing("Docker's registry (`docker-registry`)", "apt-get install docker-registry")
    assert program is not None
    folder, (port,) = tmp_path_factory.mktemp("registry"), free_ports(1)
    (folder / "htpasswd").write_text(f"{USER}:{BCRYPT}\n")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    server = Server([program, "serve", str(folder / "config.yml")], folder)
    server.start(lambda: port_answers(port))
    yield f"http://127.0.0.1:{port}"
    server.kill()


def get(registry: str, path: str) -> httpx.Response:
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    return httpx.get(f"{registry}/v2/me/birds/{path}", auth=(USER, PASSWORD), headers=accept).raise_for_status()


def test_every_file_is_a_layer_and_the_same_again_is_the_same_digest(
    registry: str, world: World, client: TestClient, student: str
) -> None:
    place: dict[str, Any] = {"registry": registry, "repository": "me/birds", "tag": "v1", "secret": "registry"}
    made = ask(client, student, "oci", **place)
    assert world.run(made) == "succeeded", client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    manifest = get(registry, "manifests/v1")
    receipt = look(client, made)["receipt"]
    assert receipt["digest"] == f"sha256:{hashlib.sha256(manifest.content).hexdigest()}"
    layers = {each["annotations"]["org.opencontainers.image.title"]: each for each in manifest.json()["layers"]}
    assert set(layers) == {name for name, _, _ in files()}
    for name, content, kind in files():
        assert layers[name]["mediaType"] == kind
        assert get(registry, f"blobs/{layers[name]['digest']}").content == content
    again = ask(client, student, "oci", again=True, **place)
    assert world.run(again) == "succeeded"
    assert look(client, again)["receipt"] == receipt


@pytest.mark.parametrize(("secret", "code"), [("mistaken", "credentials_refused"), (None, "credentials_refused"),
                                              ("registry", "target_unavailable")])  # fmt: skip
def test_what_goes_wrong_is_named(
    secret: str | None, code: str, registry: str, world: World, client: TestClient, student: str
) -> None:
    url = "http://127.0.0.1:9" if code == "target_unavailable" else registry
    made = ask(client, student, "oci", registry=url, repository="me/birds", secret=secret)
    world.run(made)
    error = client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    assert error["code"] == code, error
