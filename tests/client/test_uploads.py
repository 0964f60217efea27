"""Large files through the real client: in parts, going on after interruptions, on both kinds of store."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.resources.uploads import receiving
from client import uploads
from client.api import Retort
from client.errors import RetortClientError
from tests.api.modes import MODES, Service, settings_of
from tests.api.modes import serving as running
from tests.api.test_registration import safetensors, zipped
from tests.client.conftest import Command, serving

PART = 5 << 20


@pytest.fixture(params=MODES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with running(
        request.param, settings_of(request.param, request, tmp_path, upload_part_bytes=PART), tmp_path
    ) as made:
        yield made


@pytest.fixture
def retort(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retort]:
    monkeypatch.setattr(uploads, "LARGE_BYTES", 1000)
    with serving(service.client.app) as url, Retort(url) as retort:  # type: ignore[arg-type]
        yield retort


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Of three parts."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(3_000_000))
    return path


def statuses(service: Service) -> list[str]:
    return [row["status"] for row in service.client.get("/uploads").json()["items"]]


def test_a_large_teacher_goes_in_parts(retort: Retort, service: Service, model: Path) -> None:
    seen: list[tuple[int, int]] = []
    size = model.stat().st_size
    teacher = retort.add_teacher(model, "timm:resnet34", name="large", progress=lambda *at: seen.append(at))
    assert teacher["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (teacher["name"], teacher["status"]) == ("large", "ready")
    assert seen == [(PART, size), (2 * PART, size), (size, size)]
    assert statuses(service) == ["used"]
    assert retort.add_teacher(model, "timm:resnet34")["id"] != teacher["id"]  # the first upload is used: another
    assert statuses(service) == ["used", "used"]


def test_large_datasets_of_two_files(retort: Retort, service: Service, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(zipped() + os.urandom(2000))
    made = retort.add_dataset(train=tmp_path / "a.zip", test=tmp_path / "b.zip")
    assert sorted(made["files"]) == ["test", "train"]
    assert statuses(service) == ["used", "used"]


def test_what_broke_off_goes_on(retort: Retort, service: Service, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program dies after the first part; started again it sends only the other two."""

    class Killed(BaseException):
        pass

    def die(done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        retort.add_teacher(model, "timm:resnet34", progress=die)
    assert statuses(service) == ["open"]
    sent: list[int] = []
    send = uploads._Sender._send
    monkeypatch.setattr(uploads._Sender, "_send", lambda self, part: (sent.append(part["number"]), send(self, part)))
    assert retort.add_teacher(model, "timm:resnet34")["status"] == "ready"
    assert sent == [2, 3]
    assert statuses(service) == ["used"]


@pytest.mark.services
@pytest.mark.parametrize("service", ["full"], indirect=True)
@pytest.mark.parametrize("fault", ["unreachable", "refusing", "stuttering"])
def test_a_store_that_clients_do_not_reach_is_reached_through_the_service(
    retort: Retort, service: Service, model: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if fault == "unreachable":
            raise httpx.ConnectError("no route")
        return httpx.Response({"refusing": 403, "stuttering": 500}[fault])

    monkeypatch.setattr(uploads.time, "sleep", lambda seconds: None)
    opened = uploads._Sender.__init__

    def faulty(self: Any, *arguments: Any) -> None:
        opened(self, *arguments)
        self._store = httpx.Client(transport=httpx.MockTransport(answer))

    monkeypatch.setattr(uploads._Sender, "__init__", faulty)
    assert retort.add_teacher(model, "timm:resnet34")["status"] == "ready"
    assert len(asked) == {"unreachable": 1, "refusing": 3, "stuttering": 3 * uploads.TRIES}[fault]
    assert all(url.startswith(service.settings.s3_public_endpoint) for url in asked)


def test_a_file_that_changes_while_it_is_sent_is_noticed(
    retort: Retort, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_sha256", lambda file: "0" * 64)
    with pytest.raises(RetortClientError, match="sha256"):
        retort.add_teacher(model, "timm:resnet34")
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "LARGE_BYTES", 1000)

    def shorten(done: int, total: int) -> None:
        os.truncate(model, 100)

    with pytest.raises(RetortClientError, match="shorter"):
        retort.add_teacher(model, "timm:resnet34", progress=shorten)


def test_a_part_that_arrives_damaged_is_refused(
    retort: Retort, service: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if service.mode == "full":
        pytest.skip("there the store itself takes the parts")
    monkeypatch.setattr(receiving, "_check_digest", lambda header, digest: _check(header, b"\0" * 32))
    with pytest.raises(RetortClientError, match="Content-Digest"):
        retort.add_teacher(model, "timm:resnet34")
    assert statuses(service) == ["open"]


_check = receiving._check_digest


@pytest.mark.usefixtures("driver", "inspector")
def test_the_commands_send_large_files_in_parts(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(uploads, "LARGE_BYTES", 1000)
    monkeypatch.setenv("COLUMNS", "200")
    os.truncate(model, 0)
    model.write_bytes(safetensors(100_000))
    code, printed = command("teachers", "add", str(model), "-a", "timm:resnet34")
    assert code == 0, printed
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zipped() + os.urandom(2000))
    code, printed = command("--json", "datasets", "add", str(archive))
    assert code == 0, printed
    with Retort(url) as retort:
        assert [row["status"] for row in retort.get("/uploads")["items"]] == ["used", "used"]


def test_a_client_that_asks_too_often_waits(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    key = "a-long-and-random-first-key"
    limits = {"rate_limit_per_second": 2, "rate_limit_burst": 2, "api_key": SecretStr(key)}
    with (
        running("embedded", settings_of("embedded", request, tmp_path, **limits), tmp_path) as service,
        serving(service.client.app) as url,  # type: ignore[arg-type]
        Retort(url, key) as retort,
    ):
        started = time.monotonic()
        assert [list(retort.jobs()) for _ in range(4)] == [[]] * 4
        assert time.monotonic() - started > 0.5
