"""Bodies in other encodings than UTF-8, at every operation that takes one: refused with what to do about it."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.api.checks import problem
from tests.api.driver import Driver

JSON, FORM, BYTES = "application/json", "multipart/form-data", "application/octet-stream"
LATIN = '{"name": "Zürich"}'.encode("latin-1")
PARTED = (
    b'--edge\r\nContent-Disposition: form-data; name="name"\r\n\r\nZ\xfcrich\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--edge--\r\n'
)


def bodies(app: FastAPI) -> list[tuple[str, str, str]]:
    """Method, path and media type of whatever can be sent."""
    return [
        (method, path, media)
        for path, item in app.openapi()["paths"].items()
        for method, spec in item.items()
        for media in spec.get("requestBody", {}).get("content", {})
    ]


def there(client: TestClient, driver: Driver, path: str) -> str:
    """The path with ids of things that are there, so that nothing but the body can be wrong."""
    if path.startswith("/uploads/"):
        made = client.post("/uploads", json={"purpose": "dataset", "filename": "f", "size_bytes": 3}).json()["id"]
        return path.format(upload_id=made, number=1)
    ids = {"job_id": driver.job, "dataset_id": driver.dataset, "teacher_id": driver.teacher}
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], lambda: "tnt_default")(), path)


def test_what_takes_a_body_is_what_we_think(app: FastAPI) -> None:
    """The cases of the other tests are neither none nor one kind."""
    found = bodies(app)
    assert len(found) >= 12
    assert {media for _, _, media in found} == {JSON, FORM, BYTES}


def test_a_compressed_body_is_refused_by_every_operation(app: FastAPI, client: TestClient, driver: Driver) -> None:
    for method, path, media in bodies(app):
        content = gzip.compress(PARTED if media == FORM else b"abc" if media == BYTES else b"{}", mtime=0)
        kind = f"{media}; boundary=edge" if media == FORM else media
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        answer = client.request(method, there(client, driver, path), content=content, headers=headers)
        document = problem(answer, 415, "unsupported_media_type")
        assert "Content-Encoding" in document["remedy"], (method, path)
        assert answer.headers["accept-encoding"] == "identity"


def test_text_that_is_not_utf8_is_refused_by_every_operation(app: FastAPI, client: TestClient, driver: Driver) -> None:
    for method, path, media in bodies(app):
        if media == BYTES:
            continue
        content, kind = (PARTED, f"{FORM}; boundary=edge") if media == FORM else (LATIN, media)
        answer = client.request(method, there(client, driver, path), content=content, headers={"Content-Type": kind})
        document = problem(answer, 400, "malformed_multipart" if media == FORM else "malformed_json")
        assert "UTF-8" in document["remedy"], (method, path)


@pytest.mark.parametrize("charset", ["latin-1", "utf-8"])
def test_what_is_ascii_is_read_whatever_it_is_called(client: TestClient, driver: Driver, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = client.patch(f"/jobs/{driver.job()}", content=b'{"name": "plain"}', headers=headers)
    assert answer.status_code == 200


def test_json_without_end_is_refused_with_a_remedy(client: TestClient) -> None:
    """So deep that the parser gives up, which is no error of JSON."""
    body: Any = b"[" * 200_000
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 400, "malformed_json")["remedy"]
