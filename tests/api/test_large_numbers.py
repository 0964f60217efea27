"""Numbers larger than a column are no error: there is nothing behind them. (Found by schemathesis, on Postgres.)"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.paging import encode
from tests.api.modes import MODES, Service, serving, settings_of

LARGE = 999_999_999_999_999


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with serving(request.param, settings_of(request.param, request, tmp_path), tmp_path) as running:
        yield running


@pytest.mark.parametrize("what", ["events", "metrics", "logs"])
def test_cursors(service: Service, what: str) -> None:
    job_id = service.driver.job()
    service.driver.succeed(job_id)
    assert service.client.get(f"/jobs/{job_id}/{what}").json()["items"]
    answer = service.client.get(f"/jobs/{job_id}/{what}?cursor={encode(LARGE)}")
    assert (answer.status_code, answer.json()["items"]) == (200, []), answer.text


def test_last_event_id(service: Service) -> None:
    job_id = service.driver.job()
    service.driver.succeed(job_id)
    headers = {"Last-Event-ID": str(LARGE)}
    assert service.client.get(f"/jobs/{job_id}/events", headers=headers).json()["items"] == []
    stream = service.client.get(f"/jobs/{job_id}/events", headers=headers | {"Accept": "text/event-stream"})
    assert stream.status_code == 204
