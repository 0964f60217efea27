"""A real service over a real database and store; only the worker is played by `Driver` and `Inspector`.
None of its parts may be used inside the event loop (`off_loop`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from store.settings import Settings
from tests.api.documented import hold
from tests.api.driver import Driver, Inspector
from tests.api.off_loop import OffLoopDoorbell, OffLoopStore, Serving, watched
from tests.services.tables import opened

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", inspect_wait_seconds=5, max_upload_bytes=1 << 20)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    settings.data_dir.mkdir(parents=True)
    database = watched(opened(settings.resolved_database_url))
    yield database
    database.close()


@pytest.fixture
def objects(settings: Settings) -> FolderStore:
    return OffLoopStore(settings.data_dir / "objects")


@pytest.fixture
def doorbell() -> InProcessDoorbell:
    return OffLoopDoorbell()


@pytest.fixture
def app(settings: Settings, database: Database, objects: FolderStore, doorbell: InProcessDoorbell) -> FastAPI:
    app = create_app(settings, database, objects, doorbell)
    app.add_middleware(Serving)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
        hold(client, app)
        yield client


@pytest.fixture
def driver(client: TestClient, database: Database, objects: FolderStore, tmp_path: Path) -> Driver:
    driver = Driver(database, objects, tmp_path)
    driver.publish()
    return driver


@pytest.fixture
def inspector(client: TestClient, database: Database, doorbell: InProcessDoorbell) -> Iterator[Inspector]:
    with Inspector(database, doorbell) as inspector:
        yield inspector
