"""Pages of lists compute, so only a few at once: they wait for each other, and nothing else waits for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.state.lanes import Lane, Lanes
from tests.api.driver import Driver

#: What the object store lists, in its own lane.
STORED = {"/uploads/{upload_id}/parts", "/jobs/{job_id}/disagreements"}
FULL = Lane("database (lists)", 0, "database_unavailable", stalled_seconds=0.01)


@pytest.fixture
def full(client: TestClient) -> TestClient:
    """The service while no list finds a place."""
    app: Any = client.app
    app.state.context = replace(app.state.context, lanes=Lanes(listing=FULL))
    return client


def paged(client: TestClient) -> list[str]:
    """Paths of every list of rows that comes in pages."""
    paths = client.get("/openapi.json").json()["paths"]
    return [
        path
        for path, item in paths.items()
        if path not in STORED
        and any(parameter["name"] == "limit" for parameter in item.get("get", {}).get("parameters", []))
    ]


def test_every_page_of_a_list_takes_a_place_among_lists(full: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    found = paged(full)
    assert {"/jobs", "/datasets", "/teachers", "/jobs/{job_id}/events", "/catalogue/architectures"} <= set(found)
    answers = {path: full.get(path.replace("{job_id}", job_id)) for path in found}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(found, 503)
    assert {answer.json()["code"] for answer in answers.values()} == {"database_unavailable"}


def test_nothing_else_waits_for_lists(full: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    paths = ("/livez", f"/jobs/{job_id}", "/system", "/catalogue/recipes")
    assert [full.get(path).status_code for path in paths] == [200] * len(paths)
