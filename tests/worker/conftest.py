"""The supervisor's world on SQLite and a folder, and on Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.objects import FolderStore
from tests.data.shard_files import Site, site, write_shards
from tests.services.tables import opened
from tests.worker.narrow import Narrow
from tests.worker.support import World


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str, folder_store: FolderStore) -> World:
    from store.repositories import tenants

    database = opened(sqlite_url)
    with database.write() as session:
        tenants.ensure_default(session)
    return World(tmp_path, database, folder_store)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Site]:
    """Four shards of ten samples, and a server of them."""
    write_shards(tmp_path / "site", 4, 10)
    with site(tmp_path / "site") as server:
        yield server


@pytest.fixture
def narrow() -> Iterator[Narrow]:
    try:
        found = Narrow()
    except OSError as error:
        pytest.skip(f"no control group of memory can be made: {error}")
    try:
        found.enter()
        found.leave()
        yield found
    finally:
        found.close()
