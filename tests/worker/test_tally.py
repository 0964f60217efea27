"""What shards cost a job: how many it fetched again, and which of them others' shards had the room of."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.modalities.images.shards.cache import ShardCache
from store.dataset_files import numbered
from store.ids import new_id
from store.repositories import jobs
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Dataset
from tests.data.shard_files import Site, site, write_shards
from tests.worker.support import World, settings_for
from tests.worker.test_streams import HERE, entries_of, sent_tars
from worker.transfer.supplier import Kept
from worker.transfer.tally import Tally


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Site]:
    write_shards(tmp_path / "site", 5, 4)
    with site(tmp_path / "site") as server:
        yield server


def of_job(settings: Settings, served: Site) -> tuple[Kept, Tally]:
    entries, tally = entries_of(served, [f"{number:06}.tar" for number in range(5)]), Tally(settings.shard_cache_bytes)
    return Kept(settings, entries, tally=tally), tally


def read(kept: Kept, *numbers: int) -> None:
    for number in numbers:
        assert kept.get(number, lambda: None).is_file()
        time.sleep(0.02)  # the file system's clock ticks more slowly than this reads


def test_what_others_took_the_room_of_is_told_from_what_never_fitted(served: Site, tmp_path: Path) -> None:
    sizes = [path.stat().st_size for path in sorted(served.folder.glob("*.tar"))]
    settings = settings_for(tmp_path / "data", **HERE, shard_cache_bytes=3 * max(sizes))
    (one, mine), (other, theirs) = of_job(settings, served), of_job(settings, served)
    read(one, 0, 1, 0, 1)
    read(other, 1)  # what one fetched the other has
    assert (mine.count.fetched, mine.count.again, theirs.count.fetched) == (2, 0, 0)
    read(other, 2, 3)
    read(one, 0)
    assert astuple(mine.count) == (3, sum(sizes[:2]) + sizes[0], 1, sizes[0], 1, sizes[0])
    assert (theirs.count.fetched, theirs.count.again) == (2, 0)
    read(one, 1)
    assert (mine.count.again, mine.count.crowded) == (2, 2)
    read(one, 2, 3, 4, 0)  # more than the budget: alone it would have to fetch the last one again too
    assert (mine.count.again, mine.count.crowded) == (3, 2)


@given(st.integers(1, 6), st.lists(st.integers(0, 7), max_size=60))
def test_a_job_alone_is_never_crowded(tmp_path_factory: pytest.TempPathFactory, room: int, numbers: list[int]) -> None:
    cache, tally = ShardCache(tmp_path_factory.mktemp("cache"), 100 * room), Tally(100 * room)
    made: list[Path] = []
    for at, number in enumerate(numbers):
        before = len(made)
        path = cache.get(f"{number:064x}", 100, made.append)
        os.utime(path, (at, at))  # the file system's clock ticks more slowly than this reads
        tally.note(f"{number:064x}", 100, len(made) > before)
    count = tally.count
    assert (count.fetched, count.again, count.crowded) == (len(made), len(made) - len(set(numbers)), 0)


def test_the_jobs_log_and_its_trainer_are_told(world: World, served: Site) -> None:
    files = sent_tars(world.objects, served.folder)
    files["index"] = files[numbered("all", 0)]
    row = Dataset(
        id=new_id("dst"),
        tenant_id=DEFAULT_TENANT,
        name="s",
        kind="shards",
        status="ready",
        files=files,
        digest="d" * 64,
    )
    with world.database.write() as session:
        session.add(row)
    assert world.run("crowded", dataset_id=row.id) == "succeeded"
    told = json.loads(world.artifact("report.json"))
    assert (told["fetched"], told["again"], told["crowded"]) == (4, 1, 1)
    assert told["crowded_bytes"] == files[numbered("all", 0)]["size_bytes"]
    assert told["budget_bytes"] == world.settings.shard_cache_bytes
    with world.database.read() as session:
        lines = [(line.level, line.message) for line in jobs.log_tail(session, world.job_id, 100)]
    warned = [message for level, message in lines if level == "warning"]
    assert len(warned) == 1
    assert "RETORT_SHARD_CACHE_BYTES" in warned[0]
    assert any(level == "info" and f"{told['fetched_bytes']:,}" in message for level, message in lines)
