"""A 2 GiB upload through the API keeps the server's memory flat."""

from __future__ import annotations

import json
import struct
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from tests.embedded.service import Service

SIZE, ALLOWED = 2 * 2**30, 64 * 2**20


@pytest.mark.slow
def test_an_upload_of_two_gib_costs_less_than_64_mib(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "U8", "shape": [SIZE], "data_offsets": [0, SIZE]}}).encode()
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + SIZE)
    service = Service(tmp_path / "data")
    try:
        client = service.client()
        client.get("/teachers")
        process, ended = psutil.Process(service.process.pid), threading.Event()
        before = peak = process.memory_info().rss

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.02):
                peak = max(peak, process.memory_info().rss)

        thread = threading.Thread(target=watch)
        thread.start()
        with path.open("rb") as file:
            files, data = {"file": ("big.safetensors", file)}, {"architecture": "timm:resnet18"}
            timeout, headers = httpx.Timeout(600), {"Prefer": "wait=0"}
            answer = client.post("/teachers", data=data, files=files, headers=headers, timeout=timeout)
        ended.set()
        thread.join()
        assert answer.status_code == 202, answer.text
        assert answer.json()["size_bytes"] == path.stat().st_size
        assert (peak - before) // 2**20 < ALLOWED // 2**20
    finally:
        service.end()
