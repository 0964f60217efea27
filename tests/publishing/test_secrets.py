"""Credentials go in and come out nowhere: not of the API, its log, events, the database, a backup or an error."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.backup.writing import backup
from store.repositories import secrets
from store.repositories.tenants import DEFAULT_TENANT
from store.sealing import SealBroken, Sealer
from store.settings import Settings
from store.tables import Job, Secret, Tenant
from tests.api.checks import pointers, problem
from tests.publishing.conftest import TOKEN
from tests.publishing.hub import Hub
from tests.publishing.world import World, ask, look


def forms(value: str) -> list[bytes]:
    return [value.encode(), base64.b64encode(value.encode())]


def everything(world: World, client: TestClient, folder: Path, *made: dict[str, Any]) -> dict[str, bytes]:
    """All that could hold a secret, by where it is."""
    found = {"log": world.logs.getvalue().encode(), "names": client.get("/secrets").content}
    for each in made:
        job = each["links"]["job"]
        paths = [each["links"]["self"], job, *(f"{job}/{name}" for name in ("logs", "attempts", "artifacts"))]
        found |= {path: client.get(path).content for path in paths}
        stream = {"Accept": "text/event-stream"}
        found[f"{job}/events"] = client.get(f"{job}/events", headers=stream).content
    backup(world.database, world.objects, folder)
    files = [path for root in (folder, world.folder) for path in root.rglob("*") if path.is_file()]
    found |= {str(path): path.read_bytes() for path in files}
    return found | {f"{path} unpacked": gzip.decompress(path.read_bytes()) for path in folder.glob("*.gz")}


def test_a_secret_is_nowhere(world: World, client: TestClient, student: str, hub: Hub, tmp_path: Path) -> None:
    right = ask(client, student, "huggingface", repository="me/secret", secret="hub")
    assert world.run(right) == "succeeded"
    wrong = ask(client, student, "huggingface", repository="me/secret", secret="old")
    assert world.run(wrong) == "failed"  # the hub says the token in its error
    assert "***" in look(client, wrong)["error"]["message"]
    searched = everything(world, client, tmp_path / "backup", right, wrong)
    assert any(b'"secrets"' in content for name, content in searched.items() if name.endswith("unpacked"))
    for value in (TOKEN, "hf_a-token-that-was-revoked"):
        for form in forms(value):
            assert [name for name, content in searched.items() if form in content] == []


def test_names_are_listed_and_values_replaced(client: TestClient, world: World) -> None:
    first = client.put("/secrets/pair", json={"value": {"username": "me", "password": "one-two-three"}})
    assert (first.status_code, first.json()["parts"]) == (200, ["password", "username"])
    second = client.put("/secrets/pair", json={"value": "another"}).json()
    assert second["parts"] == ["token"]
    assert second["created_at"] == first.json()["created_at"]
    listed = client.get("/secrets").json()["items"]
    assert [each["name"] for each in listed] == sorted(each["name"] for each in listed)
    assert "pair" in {each["name"] for each in listed}
    problem(client.get("/secrets/pair"), 405)
    assert client.delete("/secrets/pair").status_code == 204
    problem(client.delete("/secrets/pair"), 404)


@pytest.mark.parametrize(
    "value",
    ["", {}, {"Token": "x"}, 7, None, ["x"], {"token": ""}, {"token": 1}, "x" * 8001, {str(i): "x" for i in range(9)}],
)
def test_what_is_no_secret_is_refused_without_being_repeated(client: TestClient, value: Any) -> None:
    answer = client.put("/secrets/bad", json={"value": value})
    problem(answer, 422, "invalid_request")
    assert "xxxxxxxx" not in answer.text


def test_another_tenants_secret_is_none(world: World, client: TestClient, student: str) -> None:
    assert world.settings.sealer is not None
    with world.database.write() as session:
        session.add(Tenant(id="tnt_other", name="other"))
        session.flush()
        row = secrets.put(session, world.settings.sealer, "tnt_other", "theirs", {"token": "x" * 20})
        session.add(Secret(tenant_id=DEFAULT_TENANT, name="stolen", parts=["token"], sealed=row.sealed))
    body = {"target": "huggingface", "repository": "me/x", "secret": "theirs"}
    assert pointers(problem(client.post(f"/jobs/{student}/publish", json=body), 422, "unknown_secret")) == {"/secret"}
    assert "theirs" not in client.get("/secrets").text
    problem(client.delete("/secrets/theirs"), 404)
    copied = ask(client, student, "huggingface", repository="me/x", secret="stolen")  # its row, under our name
    assert world.run(copied) == "failed"
    assert look(client, copied)["error"]["code"] == "secret_unreadable"


def test_a_secret_that_goes_meanwhile_fails_its_publication(world: World, client: TestClient, student: str) -> None:
    client.put("/secrets/brief", json={"value": "x" * 20})
    made = ask(client, student, "huggingface", repository="me/x", secret="brief")
    assert client.delete("/secrets/brief").status_code == 204
    assert world.run(made) == "failed"
    assert look(client, made)["error"]["code"] == "input_gone"


def test_without_a_key_nothing_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, secrets_key="")
    with world.serving() as client:
        problem(client.put("/secrets/hub", json={"value": "hf_x"}), 409, "no_key")
        job = world.student()
        body = {"target": "huggingface", "repository": "me/x", "secret": "hub"}
        problem(client.post(f"/jobs/{job}/publish", json=body), 409, "no_key")
        assert client.post(f"/jobs/{job}/publish", json={"target": "tensorboard"}).status_code == 202
        with world.database.read() as session:
            assert session.query(Secret).count() == 0
            assert session.query(Job).count() == 2


def test_a_new_key_opens_what_the_old_one_sealed() -> None:
    old, new = (base64.b64encode(bytes([value]) * 32).decode() for value in (1, 2))
    sealed = Sealer.of_text(old).seal(b"token", "tnt/hub")
    both = Sealer.of_text(f"{new},{old}")
    assert both.open(sealed, "tnt/hub") == b"token"
    assert both.seal(b"token", "tnt/hub") != sealed
    for wrong, owner in ((Sealer.of_text(new), "tnt/hub"), (both, "tnt/other")):
        with pytest.raises(SealBroken):
            wrong.open(sealed, owner)


@pytest.mark.parametrize("text", ["abc", "c2hvcnQ=", "not base64 at all"])
def test_a_key_that_is_none_stops_the_start_and_is_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RETORT_SECRETS_KEY") as refused:
        Settings(data_dir=tmp_path, secrets_key=text)
    assert text not in str(refused.value)
