"""A site as the faults have it, and a Ray cluster of two nodes beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Nodes
from tests.faults.conftest import make_site, services

__all__ = ["make_site", "nodes", "services"]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head and one node more."""
    pytest.importorskip("ray", reason="`make test-ray` has an environment with Ray")
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # noqa: S108 - short
    cluster = Nodes(folder)
    try:
        cluster.head()
        cluster.join("second")
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
