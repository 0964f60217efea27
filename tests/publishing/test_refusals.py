"""Credentials that a target, or a gate in front of it, does not take: whatever the answer looks like, it serves."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from distill.errors import RetortError
from publishing import targets
from publishing.bundle import Bundle, BundleFile
from tests.publishing.http_server import JsonHandler, served

SHAPES = {
    "text": (b"You are not authenticated.", "text/plain"),
    "page": (b"<html><body>Sign in</body></html>", "text/html"),
    "json": (b'{"detail": "Unauthorized"}', "application/json"),
    "own": (b'{"error_code": "UNAUTHORIZED", "message": "no"}', "application/json"),
    "nothing": (b"", "text/plain"),
}
PLACES: dict[str, dict[str, Any]] = {
    "mlflow": {"tracking_uri": "", "experiment": "retort", "run_name": "", "model": ""},
    "s3": {"endpoint": "", "bucket": "models", "prefix": "birds", "region": "us-east-1"},
    "oci": {"registry": "", "repository": "me/birds", "tag": "one"},
}
URLS = ("tracking_uri", "endpoint", "registry")
CREDENTIALS = {"username": "u", "password": "p", "access_key": "abc", "secret_key": "a-secret"}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "student.safetensors").write_bytes(b"weights")
    file = BundleFile(name="student.safetensors", media_type="application/octet-stream", size_bytes=7, sha256="0" * 64)
    now = datetime.now(UTC)
    return Bundle(
        publication="pub_1", job="job_1", name="", recipe="auto", task="image-classification", config={}, student={},
        started_at=now, folder=folder, result={}, finished_at=now, files=[file],
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("status", "code"), [(401, "credentials_refused"), (403, "target_forbidden")])
@pytest.mark.parametrize("target", PLACES)
def test_it_is_for_who_owns_the_credentials(
    target: str, status: int, code: str, shape: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gate(JsonHandler):
        def answered(self) -> None:
            self.sent()
            self.send(status, *SHAPES[shape])

        do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = answered  # noqa: N815 - the library's protocol

    monkeypatch.setattr(os, "environ", os.environ.copy())  # a publisher has an environment of its own
    with served(Gate) as url:
        given = {name: url if name in URLS else value for name, value in PLACES[target].items()}
        with pytest.raises(RetortError) as caught:
            targets.get(target)(given, CREDENTIALS).publish(bundle, print)
    assert (caught.value.code, caught.value.fault, caught.value.details["status"]) == (code, "user", status)
