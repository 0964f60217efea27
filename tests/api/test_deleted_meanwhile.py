"""What a request has found is deleted before it takes its lock: 404, as if it had come a moment later, and never a 500.

On PostgreSQL alone: SQLite has one writer at a time, so there a request finds what stays until its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from api.services import registration
from api.state.context import Context
from store.database import Database
from store.ids import new_id
from store.objects import FolderStore
from store.repositories import outbox, tenants, uploads
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import ApiKey, Dataset, Job, Teacher, Upload, Webhook
from tests.api.checks import problem
from tests.api.driver import Driver
from tests.api.test_preconditions import ACTIONS, tag
from tests.store.support import migrated
from tests.store.test_races import await_lock, overlap

pytestmark = pytest.mark.services

Send = Callable[[], httpx.Response]
TABLES: dict[str, Any] = {"job": Job, "teacher": Teacher, "dataset": Dataset}


@pytest.fixture
def database(lent_url: str) -> Iterator[Database]:
    with migrated(lent_url) as database:
        yield database


def meanwhile(database: Database, table: Any, row_id: str, send: Send) -> httpx.Response:
    """The answer of a request that finds the row, and then waits for a transaction that deletes it."""
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            session.execute(delete(table).where(table.id == row_id))
            later = pool.submit(send)
            await_lock(database)
        return later.result(30)


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "if-match"])
@pytest.mark.parametrize("noun", TABLES)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_what_is_deleted_meanwhile_is_not_found(
    client: TestClient, driver: Driver, database: Database, method: str, noun: str, conditional: bool
) -> None:
    values = {"status": "succeeded"} if noun == "job" else {}
    row_id = getattr(driver, noun)(**values)
    path = f"/{noun}s/{row_id}"
    headers = {"If-Match": tag(client, path)} if conditional else {}
    body = {"labels": {"team": "a"}} if method == "PATCH" else None

    def send() -> httpx.Response:
        return client.request(method, path, json=body, headers=headers)

    problem(meanwhile(database, TABLES[noun], row_id, send), 404, "not_found")


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "if-match"])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_a_job_that_is_deleted_meanwhile_is_not_found(
    client: TestClient, driver: Driver, database: Database, action: str, conditional: bool
) -> None:
    job_id = driver.job(status=ACTIONS[action])
    headers = {"If-Match": tag(client, f"/jobs/{job_id}")} if conditional else {}

    def send() -> httpx.Response:
        return client.post(f"/jobs/{job_id}/{action}", headers=headers)

    problem(meanwhile(database, Job, job_id, send), 404, "not_found")


@pytest.fixture
def hook(driver: Driver, database: Database) -> tuple[str, str]:
    """A webhook and a message of it."""
    row = Webhook(id=new_id("whk"), tenant_id=DEFAULT_TENANT, url="https://x/", events="*", secret="whsec_x")
    with database.write() as session:
        session.add(row)
        session.flush()
        return row.id, outbox.add(session, row.id, outbox.TEST, {}).id


@pytest.mark.parametrize(
    "request_line",
    ["DELETE /webhooks/{}", "POST /webhooks/{}/enable", "POST /webhooks/{}/test",
     "POST /webhooks/{}/deliveries/{}/redeliver"],
)  # fmt: skip
def test_a_webhook_that_is_deleted_meanwhile_is_not_found(
    client: TestClient, database: Database, hook: tuple[str, str], request_line: str
) -> None:
    method, path = request_line.format(*hook).split()
    answer = meanwhile(database, Webhook, hook[0], lambda: client.request(method, path))
    problem(answer, 404, "not_found")


def test_an_upload_that_is_deleted_meanwhile_is_not_found(client: TestClient, database: Database) -> None:
    made = client.post("/uploads", json={"purpose": "dataset", "filename": "a.zip", "size_bytes": 3})
    path = made.headers["Location"]
    answer = meanwhile(database, Upload, made.json()["id"], lambda: client.delete(path))
    problem(answer, 404, "not_found")


def test_a_key_that_is_revoked_meanwhile_is_not_found(database: Database, client: TestClient) -> None:
    with database.write() as session:
        row, _ = tenants.new_key(session, DEFAULT_TENANT, "k")
    answer = meanwhile(database, ApiKey, row.id, lambda: client.delete(f"/api-keys/{row.id}"))
    problem(answer, 404, "not_found")


def test_who_comes_second_to_discard_a_refused_set_leaves_its_upload_alone(
    client: TestClient, database: Database, app: FastAPI
) -> None:
    made = client.post("/uploads", json={"purpose": "dataset", "filename": "a.zip", "size_bytes": 3}).json()
    dataset = Dataset(id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="a", kind="archive", status="invalid")
    dataset.files = {"all": {"object_key": f"uploads/{made['id']}/content"}}
    used = update(Upload).where(Upload.id == made["id"]).values(status="used", resource_id=dataset.id)
    with database.write() as session:
        session.add(dataset)
        session.execute(used)
    context = app.state.context
    context.objects.put(f"uploads/{made['id']}/content", _bytes(context))

    def discard() -> None:
        registration._discard(context, Dataset, DEFAULT_TENANT, dataset.id)

    overlap(database, lambda session: _discarded(session, dataset.id), lambda _: discard())
    assert list(context.objects.keys("uploads/")) == [f"uploads/{made['id']}/content"]
    assert client.get(f"/uploads/{made['id']}").json()["status"] == "complete"


def _bytes(context: Context) -> Path:
    path: Path = context.settings.data_dir / "three"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"abc")
    return path


def _discarded(session: Session, dataset_id: str) -> None:
    uploads.release(session, dataset_id, 60)
    session.execute(delete(Dataset).where(Dataset.id == dataset_id))


@pytest.mark.parametrize("wanted", ["student", "artifacts/report.md", "teacher", "thumbnails"])
def test_bytes_whose_row_is_deleted_before_they_are_read_are_not_found(
    client: TestClient, driver: Driver, objects: FolderStore, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    path = f"/jobs/{job_id}"
    if wanted == "thumbnails":
        layout = {"columns": 8, "rows": 1, "tile_pixels": 64, "size_bytes": 1, "sha256": "0" * 64}
        path = f"/datasets/{driver.dataset(report={'thumbnails': layout})}"
    read = objects.read

    def late(key: str, *bounds: int) -> Iterator[bytes]:
        assert client.delete(path).status_code == 204
        return read(key, *bounds)

    monkeypatch.setattr(objects, "read", late)
    if wanted == "teacher":
        answer = client.post("/teachers", json={"artifact": {"job_id": job_id, "name": "student.safetensors"}})
        assert problem(answer, 422)["errors"][0]["pointer"] == "/artifact/job_id"
    else:
        problem(client.get(f"{path}/{wanted}"), 404, "not_found")
