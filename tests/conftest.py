"""Fixtures that every package's tests may use, and limits that fit the machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from tests.services.fixtures import *  # noqa: F403
from tests.slowness import slowness, within


def pytest_configure(config: pytest.Config) -> None:
    """Measure once, before the workers of xdist start: they inherit the figure."""
    slowness()


def pytest_report_header(config: pytest.Config) -> str:
    return f"limits: {slowness():g} times those of the reference machine (RETORT_SLOWNESS)"


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays until the end: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _applications_end_with_their_module() -> Iterator[None]:
    """FastAPI remembers every function that it has classified, and with those of an application the application: by the
    end of a session millions of objects, which every collection looks through."""
    yield
    models = sys.modules.get("fastapi.dependencies.models")
    for remembered in vars(models).values() if models else ():
        if hasattr(remembered, "cache_clear"):
            remembered.cache_clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Stretch every test's time limit, its own or the common one."""
    if slowness() == 1:
        return
    common = float(config.getini("timeout") or 0)
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = marker.args[0] if marker is not None and marker.args else common
        item.add_marker(pytest.mark.timeout(within(seconds)), append=False)
