"""The real client against a real server on a real port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from client.api import Retort
from client.cli import main
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from tests.api.conftest import app, database, doorbell, objects, settings
from tests.api.driver import Driver, Inspector
from tests.slowness import within

__all__ = ["app", "database", "doorbell", "objects", "settings"]


@contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The URL of a server for the app, which ends with the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(within(10))
    assert not thread.is_alive()


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture
def retort(url: str) -> Iterator[Retort]:
    with Retort(url) as retort:
        yield retort


@pytest.fixture
def driver(url: str, database: Database, objects: FolderStore, tmp_path: Path) -> Driver:
    driver = Driver(database, objects, tmp_path)
    driver.publish()
    return driver


@pytest.fixture
def inspector(url: str, database: Database, doorbell: InProcessDoorbell) -> Iterator[Inspector]:
    with Inspector(database, doorbell) as inspector:
        yield inspector


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `retort ...` in this process: exit code and everything it printed."""
    monkeypatch.setenv("RETORT_URL", url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run
