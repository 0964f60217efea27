"""The service in its two storage modes: SQLite with a folder, and Postgres with an S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import ObjectStore, open_store
from store.settings import Settings
from tests.api.conftest import BASE_URL
from tests.api.documented import hold
from tests.api.driver import Driver, Inspector
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.services.tables import opened

#: As parameters of a fixture: what a mode is called, and whether it needs servers.
MODES = ("embedded", pytest.param("full", marks=pytest.mark.services))


@dataclass
class Service:
    """A running service, its parts, and a client of it."""

    mode: str
    settings: Settings
    database: Database
    objects: ObjectStore
    client: TestClient
    driver: Driver
    inspector: Inspector


def settings_of(mode: str, request: pytest.FixtureRequest, folder: Path, **values: Any) -> Settings:
    """Settings of a mode, with a database and a bucket of its own."""
    given: dict[str, Any] = {"data_dir": folder / "data", "inspect_wait_seconds": 120, **values}
    if mode == "full":
        s3 = request.getfixturevalue("s3")
        given |= {"s3_endpoint": s3.endpoint, "s3_public_endpoint": s3.endpoint, "s3_bucket": s3.new_bucket()}
        given |= {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
        given |= {"database_url": _lent(request)}
    return Settings(**given)


def _lent(request: pytest.FixtureRequest) -> str:
    """Given back after whatever the asking fixture ends."""
    postgres = request.getfixturevalue("postgres")
    url: str = postgres.lend()
    request.addfinalizer(lambda: postgres.take_back(url))
    return url


@contextmanager
def serving(mode: str, settings: Settings, folder: Path) -> Iterator[Service]:
    """The service with a catalogue and an inspector that accepts everything."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database, objects, doorbell = opened(settings.resolved_database_url), open_store(settings), InProcessDoorbell()
    app = create_app(settings, database, objects, doorbell)
    driver = Driver(database, objects, folder)  # type: ignore[arg-type]
    with (
        TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client,
        Inspector(database, doorbell) as inspector,
    ):
        driver.publish()
        hold(client, app)
        yield Service(mode, settings, database, objects, client, driver, inspector)
    database.close()
