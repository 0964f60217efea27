"""Downloads over connections that are cut: each goes on where it stopped, from the service and from an object store."""

from __future__ import annotations

import hashlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, RedirectResponse

from client import download as downloads
from client.api import Retort
from client.download import download
from client.errors import Unreachable
from client.transport import Transport
from client.types import Artifact
from tests.api.driver import Driver
from tests.api.modes import serving as running
from tests.api.modes import settings_of
from tests.client.conftest import Command, serving
from tests.services.s3 import S3

CONTENT = bytes(range(256)) * 400
CUT = 10_000


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSE_SECONDS", 0.0)


def student(retort: Retort, driver: Driver) -> Artifact:
    job_id = driver.job()
    driver.succeed(job_id, CONTENT)
    return next(artifact for artifact in retort.artifacts(job_id) if artifact["name"] == "student.safetensors")


class Cutting(httpx.HTTPTransport):
    """Real connections, of whose bodies only the first `kept` bytes arrive."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept, self.asked = kept, list[str | None]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("Range"))
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx.SyncByteStream)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Cut(response.stream, self.kept))


class _Cut(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, kept: int) -> None:
        self._stream, self._kept = stream, kept

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield chunk[: self._kept]
            if len(chunk) >= self._kept:
                raise httpx.ReadError("cut")
            self._kept -= len(chunk)

    def close(self) -> None:
        self._stream.close()


def test_a_download_that_gets_further_is_not_given_up(retort: Retort, driver: Driver, url: str, tmp_path: Path) -> None:
    artifact, cutting = student(retort, driver), Cutting(CUT)
    assert download(Transport(url, None, cutting), artifact, tmp_path / "s").read_bytes() == CONTENT
    assert cutting.asked == [None, *(f"bytes={at}-" for at in range(CUT, len(CONTENT), CUT))]
    assert len(cutting.asked) > downloads.TRIES


def test_a_download_that_gets_no_further_is_given_up(retort: Retort, driver: Driver, url: str, tmp_path: Path) -> None:
    artifact, cutting = student(retort, driver), Cutting(0)
    with pytest.raises(Unreachable):
        download(Transport(url, None, cutting), artifact, tmp_path / "s")
    assert len(cutting.asked) == downloads.TRIES


def test_a_store_with_validators_of_its_own_is_asked_for_the_rest(tmp_path: Path) -> None:
    """SeaweedFS does not look at `If-Range`; Starlette's files do, by an ETag of theirs."""
    (tmp_path / "object").write_bytes(CONTENT)
    app = FastAPI()
    app.add_api_route("/student", lambda: RedirectResponse("/object"), response_model=None)
    app.add_api_route("/object", lambda: FileResponse(tmp_path / "object"), response_model=None)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    artifact: Any = {"name": "s", "href": "/student", "sha256": sha256, "size_bytes": len(CONTENT)}
    cutting = Cutting(CUT)
    with serving(app) as url:
        assert download(Transport(url, None, cutting), artifact, tmp_path / "s").read_bytes() == CONTENT
    assert set(cutting.asked) == {None, *(f"bytes={at}-" for at in range(CUT, len(CONTENT), CUT))}


class CuttingProxy:
    """Passes TCP on to `port`; closes each connection when `kept` bytes of answers have passed."""

    def __init__(self, port: int, kept: int) -> None:
        self._to, self._kept, self.passed, self.asked = port, kept, 0, list[bytes]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        """One connection after another, one request each: all that a download needs."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self._to)) as server:
                self.asked.append(head := client.recv(65_536))
                server.sendall(head)
                self._answer(client, server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        """Until enough has passed, or one of the two has closed."""
        left = self._kept
        while left and client not in select.select([client, server], [], [])[0]:
            if not (chunk := server.recv(min(left, 4096))):
                break
            client.sendall(chunk)
            left -= len(chunk)
            self.passed += len(chunk)
        client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def proxy(s3: S3) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(s3.port, CUT)
    yield proxy
    proxy.close()


@pytest.mark.services
def test_behind_a_redirect_a_cut_download_goes_on(
    proxy: CuttingProxy, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = settings_of("full", request, tmp_path).model_copy(update={"s3_public_endpoint": proxy.endpoint})
    with running("full", settings, tmp_path) as service, serving(service.client.app) as url, Retort(url) as retort:  # type: ignore[arg-type]
        artifact = student(retort, service.driver)
        path = retort.download(artifact["href"].split("/")[-3], artifact["name"], tmp_path / "s")
    assert path.read_bytes() == CONTENT
    assert len(proxy.asked) > downloads.TRIES
    assert all(b"\r\nrange: bytes=" in head.lower() for head in proxy.asked[1:])
    assert not any(b"\r\nif-range:" in head.lower() for head in proxy.asked)
    assert proxy.passed < len(CONTENT) + 2_000 * len(proxy.asked)  # nothing twice, and a head each


def test_a_folder_is_one_whatever_its_name(command: Command, driver: Driver, tmp_path: Path) -> None:
    job_id = driver.job()
    driver.succeed(job_id, b"weights")
    for name in ("v1.2", "plain"):
        (tmp_path / name).mkdir()
        assert command("download", job_id, "student", "-o", tmp_path / name)[0] == 0
        assert (tmp_path / name / "student.safetensors").read_bytes() == b"weights"
    (tmp_path / "taken").write_bytes(b"old")
    assert command("download", job_id, "student", "-o", tmp_path / "taken")[0] == 0
    assert (tmp_path / "taken").read_bytes() == b"weights"
