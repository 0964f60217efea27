"""The parts that the API's tests run on do notice a call in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from api.state.lanes import Lanes
from store.database import Database
from store.objects import FolderStore
from tests.api.off_loop import OffLoopDoorbell, serving


@pytest.mark.parametrize("part", ["doorbell", "database", "objects"])
def test_a_blocking_call_in_the_loop_is_an_error(
    part: str, doorbell: OffLoopDoorbell, database: Database, objects: FolderStore
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "doorbell": lambda: doorbell.ring("job", "x"),
        "database": database.ping,
        "objects": lambda: list(objects.keys("")),
    }

    async def blocking() -> None:
        calls[part]()

    calls[part]()
    with pytest.raises(AssertionError, match="blocks the event loop"):
        asyncio.run(blocking())


@pytest.mark.parametrize("part", ["database", "objects"])
def test_a_request_outside_its_lane_is_an_error(part: str, database: Database, objects: FolderStore) -> None:
    call: Callable[[], object] = database.ping if part == "database" else lambda: list(objects.keys(""))
    lanes = Lanes()

    async def in_lane() -> None:
        await lanes.storing.run(call)

    with serving():
        asyncio.run(in_lane())
        with pytest.raises(AssertionError, match="without a place"):
            call()


def test_the_store_within_a_transaction_is_an_error(database: Database, objects: FolderStore) -> None:
    lanes = Lanes()

    def both() -> None:
        with database.read() as session:
            session.execute(text("SELECT 1"))
            objects.ping()

    with serving(), pytest.raises(AssertionError, match="within a transaction"):
        asyncio.run(lanes.storing.run(both))
