"""Downloads straight from the object store: signed for the name by which clients reach it, read by another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.modes import Service, serving, settings_of

pytestmark = pytest.mark.services
WEIGHTS = bytes(range(256)) * 8


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """API and workers use 127.0.0.1, clients `localhost`: a signature covers the name."""
    settings = settings_of("full", request, tmp_path)
    public = settings.s3_endpoint.replace("127.0.0.1", "localhost")
    with serving("full", settings.model_copy(update={"s3_public_endpoint": public}), tmp_path) as service:
        yield service


@pytest.fixture
def path(service: Service) -> str:
    job_id = service.driver.job()
    service.driver.succeed(job_id, WEIGHTS)
    return f"/jobs/{job_id}/artifacts/student.safetensors"


def test_a_file_comes_from_the_public_name_of_the_store(service: Service, path: str) -> None:
    answer = service.client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    url = answer.headers["location"]
    assert url.startswith(service.settings.s3_public_endpoint)
    assert service.settings.s3_endpoint not in url
    found = httpx.get(url)
    assert (found.status_code, found.content) == (200, WEIGHTS)
    assert "student.safetensors" in found.headers["content-disposition"]
    part = httpx.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, WEIGHTS[10:20])


def test_a_signed_url_opens_one_file_by_one_name(service: Service, path: str) -> None:
    url = service.client.get(path, follow_redirects=False).headers["location"]
    assert httpx.get(url.replace("student.safetensors", "report.md", 1)).status_code == 403
    assert httpx.get(url.replace("localhost", "127.0.0.1", 1)).status_code == 403
    assert httpx.put(url, content=b"x").status_code == 403


def test_conditions_hold_before_the_redirect_and_the_api_serves_who_asks_for_it(service: Service, path: str) -> None:
    whole = service.client.get(f"{path}?redirect=false")
    assert (whole.status_code, whole.content) == (200, WEIGHTS)
    tag = whole.headers["etag"]
    assert service.client.get(path, headers={"If-None-Match": tag}, follow_redirects=False).status_code == 304
    assert service.client.get(path, headers={"If-Match": '"other"'}, follow_redirects=False).status_code == 412
    part = service.client.get(f"{path}?redirect=false", headers={"Range": "bytes=-6", "If-Range": tag})
    assert (part.status_code, part.content) == (206, WEIGHTS[-6:])
