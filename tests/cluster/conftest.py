"""A Ray cluster of two nodes, started once, and a world whose jobs may run on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Database
from store.objects import FolderStore
from tests.cluster.nodes import Nodes
from tests.cluster.world import ClusterWorld
from tests.store.support import migrated


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """A head and one node more."""
    pytest.importorskip("ray", reason="`make test-ray` has an environment with Ray")
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    os.environ["OMP_NUM_THREADS"] = "1"
    cluster = Nodes(folder)
    try:
        cluster.head()
        cluster.join("second")
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with migrated(sqlite_url) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, database: Database, folder_store: FolderStore, nodes: Nodes) -> Iterator[ClusterWorld]:
    """Afterwards nothing of it may be left in the cluster."""
    made = ClusterWorld(tmp_path, database, folder_store, nodes)
    yield made
    made.close()
