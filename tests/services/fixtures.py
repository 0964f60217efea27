"""Fixtures over the servers: started once a session (once an xdist worker), each test in its own database or bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Database
from store.objects import FolderStore, ObjectStore, S3Store
from tests.services import postgres as postgres_server
from tests.services import redis as redis_server
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.store.support import migrated


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres_server.Postgres]:
    with postgres_server.running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_server.Redis]:
    with redis_server.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3_server.S3]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'retort.db'}"


@pytest.fixture
def postgres_url(postgres: postgres_server.Postgres) -> Iterator[str]:
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def lent_url(postgres: postgres_server.Postgres) -> Iterator[str]:
    """Of a database of Postgres with all tables and no row."""
    url = postgres.lend()
    yield url
    postgres.take_back(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def each_url(request: pytest.FixtureRequest) -> str:
    """What `migrated` makes a database of each kind of, soonest."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "lent_url")
    return url


@pytest.fixture
def database(each_url: str) -> Iterator[Database]:
    """A migrated database of each kind, with the default tenant."""
    with migrated(each_url) as database:
        yield database


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def s3_store(s3: s3_server.S3) -> S3Store:
    return S3Store(s3.endpoint, s3.endpoint, s3.new_bucket(), "us-east-1", ACCESS_KEY, SECRET_KEY)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.services)])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty object store of each kind."""
    store: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return store
