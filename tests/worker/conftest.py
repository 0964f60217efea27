"""The supervisor's world on SQLite and a folder, and on Postgres."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.objects import FolderStore
from tests.services.tables import opened
from tests.worker.support import World


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str, folder_store: FolderStore) -> World:
    from store.repositories import tenants

    database = opened(sqlite_url)
    with database.write() as session:
        tenants.ensure_default(session)
    return World(tmp_path, database, folder_store)
