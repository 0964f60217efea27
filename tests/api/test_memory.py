"""A file of any size passes through the API in the same little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.modes import settings_of
from tests.api.process import ApiProcess, api_process, status_bytes
from tests.slowness import within

MIB, GIB = 1 << 20, 1 << 30
BLOCK = hashlib.sha256(b"seed").digest() * (MIB // 32)
MOST = 64 * MIB


def blocks(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes // MIB):
        yield BLOCK


def sha256(size_bytes: int) -> str:
    digest = hashlib.sha256()
    for block in blocks(size_bytes):
        digest.update(block)
    return digest.hexdigest()


def upload(client: httpx.Client, size_bytes: int) -> None:
    """Through the API in its default parts, verified, removed."""
    body = {"filename": "f", "size_bytes": size_bytes, "purpose": "dataset", "direct": False}
    made = client.post("/uploads", json=body | {"sha256": sha256(size_bytes)}).json()
    for number in range(1, made["parts"] + 1):
        length = min(made["part_bytes"], size_bytes - (number - 1) * made["part_bytes"])
        sent = client.put(f"/uploads/{made['id']}/parts/{number}", content=blocks(length))
        assert sent.status_code == 200, sent.text
    done = client.post(f"/uploads/{made['id']}/complete", headers={"Prefer": "wait=300"})
    assert (done.status_code, done.json()["status"]) == (200, "complete"), done.text
    assert client.delete(f"/uploads/{made['id']}").status_code == 204


def form(client: httpx.Client, size_bytes: int) -> None:
    """As one multipart body, which turns out to be nothing that we take."""
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield start
        yield from blocks(size_bytes)
        yield b"\r\n--b--\r\n"

    answer = client.post("/datasets", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_dataset"), answer.text


def growth(process: ApiProcess, size_bytes: int) -> int:
    """How much more memory than before the service needs at any moment of a file's way."""
    with httpx.Client(base_url=process.url, timeout=within(600)) as client:
        for way in (upload, form):
            way(client, 20 * MIB)  # whatever is imported or pooled at the first use
        before = process.resident_bytes()
        process.forget_peak()
        for way in (upload, form):
            way(client, size_bytes)
    grown = process.peak_bytes() - before
    print(f"{size_bytes / GIB:g} GiB: resident set grew by {grown / MIB:.1f} MiB from {before / MIB:.0f} MiB")
    return grown


@pytest.mark.parametrize(
    ("mode", "size_bytes"),
    [
        ("embedded", 256 * MIB),
        pytest.param("embedded", 2 * GIB, marks=pytest.mark.slow),
        pytest.param("full", 2 * GIB, marks=[pytest.mark.slow, pytest.mark.services]),
    ],
)
def test_memory_stays_flat(mode: str, size_bytes: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = settings_of(mode, request, tmp_path)
    with api_process(settings, tmp_path) as process:
        assert growth(process, size_bytes) < MOST
    assert list(settings.incoming.iterdir()) == []


def test_the_memory_of_several_processes_is_that_of_all(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """uvicorn's first process only looks after those that answer, and needs a fraction of what one of them does."""
    with api_process(settings_of("embedded", request, tmp_path), tmp_path, workers=2) as process:
        assert len(process.pids()) >= 3
        assert process.resident_bytes() > 4 * status_bytes(process.pid, "VmRSS")
        process.forget_peak()
        assert process.peak_bytes() > 4 * status_bytes(process.pid, "VmHWM")
