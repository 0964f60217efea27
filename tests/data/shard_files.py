"""Small shards on disk, and a real HTTP server of them that can stumble."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from distill.types import DatasetInput
from tests.data.files import image_bytes, write_parquet, write_tar

CLASSES = 3


def sample(number: int, label: str | None = None) -> dict[str, bytes]:
    """The files of one sample; its class is its number modulo `CLASSES`."""
    size = (20 + number % 5, 24)
    said = str(number % CLASSES) if label is None else label
    return {f"{number:05}.jpg": image_bytes(number, size, form="JPEG"), f"{number:05}.cls": said.encode()}


def write_shards(folder: Path, shards: int = 6, each: int = 10, name: str = "{:06}.tar") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        files: dict[str, bytes] = {}
        for number in range(shard * each, (shard + 1) * each):
            files |= sample(number)
        write_tar(folder / name.format(shard), files)
    return folder


def write_parquet_shards(folder: Path, shards: int = 4, each: int = 10, names: list[str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        numbers = range(shard * each, (shard + 1) * each)
        images = [sample(number)[f"{number:05}.jpg"] for number in numbers]
        write_parquet(folder / f"{shard:03}.parquet", list(images), [number % CLASSES for number in numbers], names)
    return folder


def of_shards(given: Path | str, **roles: Path | str) -> DatasetInput:
    files = {role: str(path) for role, path in roles.items()} or {"all": str(given)}
    return DatasetInput(kind="shards", name="shards", files=files)


class Site(ThreadingHTTPServer):
    """Serves a folder. `stumbles`: path -> how many answers are 503, or cut off, before one is whole; `asked`: paths,
    in order, of GET."""

    folder: Path
    stumbles: dict[str, list[str]]
    asked: list[str]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class _Handler(SimpleHTTPRequestHandler):
    server: Site  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        faults = self.server.stumbles.get(self.path.lstrip("/"), [])
        fault = faults.pop(0) if faults else ""
        if fault == "503":
            self.send_error(503)
            return
        data = self._data()
        if data is None:
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{len(data)}"')
        self.end_headers()
        self.wfile.write(data[start : start + 1000] if fault == "cut" else data[start:])

    def do_HEAD(self) -> None:
        data = self._data()
        self.send_response(404 if data is None else 200)
        if data is not None:
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{len(data)}"')
        self.end_headers()

    def _data(self) -> bytes | None:
        path = Path(self.translate_path(self.path))
        return path.read_bytes() if path.is_file() else None

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def site(folder: Path, stumbles: Mapping[str, list[str]] | None = None) -> Iterator[Site]:
    server = Site(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.folder, server.stumbles, server.asked = folder, dict(stumbles or {}), []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
