"""A DELETE while the object store is away is done: the rows are gone, and the objects go later as orphans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.objects import FolderStore
from store.tidying import orphans
from tests.api.checks import problem
from tests.api.driver import Driver, Inspector, refuse
from tests.api.test_registration import post_teacher, safetensors

Make = Callable[[TestClient, Driver], str]


@contextmanager
def away(objects: FolderStore) -> Iterator[None]:
    """The store's folder is not there, and a file is in its place, as when a disk is not mounted."""
    aside = objects.root.with_name("aside")
    objects.root.rename(aside)
    objects.root.write_text("")
    try:
        yield
    finally:
        objects.root.unlink()
        aside.rename(objects.root)


def job(client: TestClient, driver: Driver) -> str:
    driver.succeed(job_id := driver.job())
    return f"/jobs/{job_id}"


def teacher(client: TestClient, driver: Driver) -> str:
    return f"/teachers/{post_teacher(client).json()['id']}"


def teacher_of_upload(client: TestClient, driver: Driver) -> str:
    content = safetensors()
    body = {"filename": "t.safetensors", "size_bytes": len(content), "purpose": "teacher"}
    upload = f"/uploads/{client.post('/uploads', json=body).json()['id']}"
    assert client.put(f"{upload}/parts/1", content=content).status_code == 200
    assert client.post(f"{upload}/complete").status_code == 200
    named = {"upload": upload.removeprefix("/uploads/"), "architecture": "retort:resnet8"}
    return client.post("/teachers", json=named).headers["location"]


def dataset(client: TestClient, driver: Driver) -> str:
    made = client.post("/datasets", files={"file": ("a.csv", b"label,image\n0,aa\n")})
    assert made.status_code == 201, made.text
    return made.headers["location"]


def left(objects: FolderStore) -> list[str]:
    return [key for prefix in orphans.PREFIXES for key in objects.keys(prefix)]


def swept(database: Database, objects: FolderStore) -> list[str]:
    """What is left after the sweep has met the orphans twice, its grace apart."""
    orphans.sweep(database, objects, 0)
    time.sleep(0.01)
    orphans.sweep(database, objects, 0)
    return left(objects)


@pytest.mark.parametrize("make", [job, teacher, teacher_of_upload, dataset])
def test_deleting_while_the_store_is_away_is_done_and_the_sweep_takes_the_objects(
    client: TestClient, driver: Driver, inspector: Inspector, database: Database, objects: FolderStore, make: Make
) -> None:
    path = make(client, driver)
    assert left(objects)
    with away(objects):
        answer = client.delete(path)
        assert answer.status_code == 204, answer.text
    problem(client.get(path), 404, "not_found")
    problem(client.delete(path), 404, "not_found")
    assert left(objects)
    assert swept(database, objects) == []


def test_with_the_store_there_nothing_waits_for_the_sweep(
    client: TestClient, driver: Driver, inspector: Inspector, objects: FolderStore
) -> None:
    for make in (job, teacher, teacher_of_upload, dataset):
        assert client.delete(make(client, driver)).status_code == 204
    assert left(objects) == []


def test_a_refused_upload_is_refused_also_while_the_store_is_away(
    client: TestClient, driver: Driver, inspector: Inspector, database: Database, objects: FolderStore
) -> None:
    """The inspection's verdict is the answer, not that its objects could not be removed yet."""
    with ExitStack() as stack:

        def verdict(row: Any) -> tuple[str, dict[str, Any]]:
            stack.enter_context(away(objects))
            return refuse(row)

        inspector.verdict = verdict
        problem(post_teacher(client), 422, "invalid_teacher")
    assert client.get("/teachers").json()["items"] == []
    assert swept(database, objects) == []
