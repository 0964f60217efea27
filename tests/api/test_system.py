"""What /system tells of storage and of what may be fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.repositories.system import register_worker
from store.settings import Settings
from store.tables import Tenant, Worker
from tests.api.driver import Driver


def test_storage_by_kind(client: TestClient, driver: Driver, database: Database) -> None:
    driver.teacher(size_bytes=70)
    driver.dataset(size_bytes=30)
    driver.succeed(driver.job(), student=b"12345")
    kept = client.get("/system").json()["storage"]
    assert kept["by_kind"] | {"artifacts": 0, "checkpoints": 0} == {
        "teachers": 70,
        "datasets": 30,
        "uploads": 0,
        "artifacts": 0,
        "checkpoints": 0,
    }
    assert kept["by_kind"]["artifacts"] > 5
    assert kept["used_bytes"] == sum(kept["by_kind"].values())
    assert kept["max_bytes"] is None
    with database.write() as session:
        session.query(Tenant).update({"max_stored_bytes": 1000})
    assert client.get("/system").json()["storage"]["max_bytes"] == 1000


@pytest.mark.parametrize(
    "told",
    [
        None,
        {
            "complete": False,
            "trainers": "seccomp",
            "other_user": None,
            "problems": ["landlock: this kernel has no Landlock"],
        },
    ],
)
def test_what_holds_a_workers_trainers(client: TestClient, database: Database, told: dict[str, Any] | None) -> None:
    info = {"cpus": 2} | ({"isolation": told} if told else {})
    with database.write() as session:
        register_worker(session, Worker(id="wrk_1", hostname="h", pid=1, slots=1, info=info))
    (worker,) = client.get("/system").json()["workers"]
    assert (worker["isolation"], worker["info"]) == (told, {"cpus": 2})


def test_by_default_no_dataset_is_fetched(client: TestClient) -> None:
    assert client.get("/system").json()["dataset_references"] == []


class TestAllowed:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path / "data", dataset_hosts="example.org", huggingface=True)

    def test_what_the_operator_allows(self, client: TestClient) -> None:
        assert client.get("/system").json()["dataset_references"] == ["https", "hf"]
