"""A dataset of shards that several readers inspect in parts, by real inspectors."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from distill.modalities.images.shards import sampling
from distill.modalities.images.shards.spans import UNKNOWN_BYTES
from store.doorbell import InProcessDoorbell
from store.ids import new_id
from store.objects import FolderStore
from store.repositories import parts, resources
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Dataset
from tests.data.files import write_tar
from tests.data.shard_files import Site, sample
from tests.slowness import within
from tests.store.support import migrated
from tests.worker.support import World, settings_for, wait_until
from tests.worker.test_inspections import row_of
from tests.worker.test_streams import HERE
from worker.inspecting.inspections import Inspections
from worker.inspecting.process import COMMAND
from worker.inspecting.streams import INSPECTOR
from worker.slots.pool import SlotPool
from worker.transfer import references
from worker.watching.survivors import survivors


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def here(world: World) -> World:
    """Two shards a part."""
    world.settings = settings_for(world.settings.data_dir, **HERE, shard_part_bytes=2 * UNKNOWN_BYTES)
    return world


def readers(world: World, worker_id: str, command: tuple[str, ...] = COMMAND) -> Inspections:
    return Inspections(world.settings, world.database, world.objects, worker_id, world.leaving, command, streamed=True)


def registered(world: World, served: Site, **told: str) -> str:
    shards = {"given": {"all": [served.url("{000000..000003}.tar")]}, "classes": None, "classes_from": ""} | told
    row = Dataset(id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="s", kind="shards", files={}, shards=shards)
    with world.database.write() as session:
        session.add(row)
    return row.id


def divided(world: World, served: Site) -> str:
    """A dataset of two parts that nobody reads yet."""
    dataset_id = registered(world, served)
    assert readers(world, "wrk_1").run_next()
    found: Dataset = row_of(world, Dataset, dataset_id)
    assert (found.status, (found.reading or {})["parts"], found.attempt) == ("inspecting", 2, 0)
    return dataset_id


def claimed(world: World, dataset_id: str, number: int, seconds: float) -> parts.DatasetPart:
    with world.database.write() as session:
        found = parts.claim(session, dataset_id, number, "wrk_dead", seconds)
    assert found is not None
    return found[0]


def index_bytes(world: World, row: Dataset) -> bytes:
    return b"".join(world.objects.read(row.files["index"]["object_key"]))


@pytest.mark.long
@pytest.mark.services
def test_readers_of_two_workers_register_a_dataset_on_postgres(
    lent_url: str, folder_store: FolderStore, here: World, served: Site, tmp_path: Path
) -> None:
    """Nobody but their own threads: one lists, others read, one joins."""
    with migrated(lent_url) as database, ExitStack() as stack:
        world = World(here.settings.data_dir, database, folder_store)
        dataset_id = registered(world, served)
        for number in (1, 2):
            settings = here.settings.model_copy(update={"shard_readers": 2, "scratch_dir": tmp_path / str(number)})
            pool = SlotPool(settings, database, folder_store, InProcessDoorbell())
            pool.start()
            stack.callback(pool.shutdown)
        wait_until(lambda: row_of(world, Dataset, dataset_id).status != "inspecting", within(180))
        row: Dataset = row_of(world, Dataset, dataset_id)
        assert (row.status, row.error, row.reading) == ("ready", None, None)
        assert row.report is not None
        assert sum(sum(counts) for counts in row.report["counts"].values()) == 40


@pytest.mark.long
def test_two_workers_make_the_index_of_one_and_a_dead_ones_part_is_read_by_another(here: World, served: Site) -> None:
    dataset_id = divided(here, served)
    claimed(here, dataset_id, 0, -1)
    asked = len(served.asked)
    threads = [threading.Thread(target=readers(here, f"wrk_{number}").run_next) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within(120))
    assert Counter(served.asked[asked:]) == {f"/{number:06}.tar": 1 for number in range(4)}
    with here.database.read() as session:
        found = parts.of_dataset(session, dataset_id)
    assert [(part.status, part.attempt, part.shards_read) for part in found] == [("read", 2, 2), ("read", 1, 2)]
    assert {part.worker_id for part in found} == {"wrk_1", "wrk_2"}

    assert readers(here, "wrk_1").run_next()
    shared: Dataset = row_of(here, Dataset, dataset_id)
    assert (shared.status, shared.error, shared.reading) == ("ready", None, None)
    here.settings = settings_for(here.settings.data_dir, **HERE)
    alone_id = registered(here, served)
    assert readers(here, "wrk_1").run_next()
    alone: Dataset = row_of(here, Dataset, alone_id)
    assert index_bytes(here, shared) == index_bytes(here, alone)
    assert (shared.digest, shared.report, shared.shards) == (alone.digest, alone.report, alone.shards)
    assert not list(here.objects.keys(f"datasets/{dataset_id}/parts/"))
    assert not list(here.settings.scratch.glob("*"))


def test_who_claims_a_dataset_just_after_another_has_divided_it_reads_none_of_it(
    here: World, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both had seen it wait; the second one's claim comes when the first one has given it back."""
    dataset_id = divided(here, served)
    asked = len(served.asked)
    with monkeypatch.context() as patch:
        patch.setattr(resources, "waiting", lambda session, table, **_: [dataset_id] if table is Dataset else [])
        assert readers(here, "wrk_2").run_next()
    row: Dataset = row_of(here, Dataset, dataset_id)
    assert (row.status, row.attempt, row.lease_token, len(served.asked)) == ("inspecting", 0, None, asked)
    with here.database.read() as session:
        assert [part.status for part in parts.of_dataset(session, dataset_id)] == ["waiting", "waiting"]


def test_the_first_problem_in_the_order_of_shards_is_the_verdict_though_another_part_ended_first(
    here: World, served: Site
) -> None:
    for number in (1, 3):
        write_tar(served.folder / f"{number:06}.tar", sample(50 + number, "-1"))
    dataset_id = divided(here, served)
    first = claimed(here, dataset_id, 0, 60)
    assert readers(here, "wrk_1").run_next()  # the second part, which fails
    assert not readers(here, "wrk_1").run_next()  # nothing to do: the first one is another's
    with here.database.write() as session:
        parts.release(session, first, -1)
    assert readers(here, "wrk_1").run_next()
    assert readers(here, "wrk_1").run_next()
    row: Dataset = row_of(here, Dataset, dataset_id)
    assert (row.status, (row.error or {})["code"]) == ("invalid", "invalid_dataset")
    assert (row.error or {})["details"] == {"shard": served.url("000001.tar"), "key": "00051", "label": "-1"}
    assert (row.error or {})["remedy"]
    assert not list(here.objects.keys(f"datasets/{dataset_id}/"))


def test_a_dataset_that_is_deleted_while_parts_are_read_leaves_nothing(here: World, served: Site) -> None:
    dataset_id = divided(here, served)
    waits = (sys.executable, "-c", "import time; time.sleep(600)")
    thread = threading.Thread(target=readers(here, "wrk_1", waits).run_next)
    thread.start()
    folder = here.settings.scratch / f"{dataset_id}-part-0" / "1" / INSPECTOR
    try:
        wait_until(lambda: bool(survivors(str(folder))), within(60))
        with here.database.write() as session:
            session.delete(session.get_one(Dataset, dataset_id))
        thread.join(within(60))
    finally:
        here.leaving.set()
    assert not thread.is_alive()
    assert not survivors(str(folder))
    assert not list(here.settings.scratch.glob("*"))
    assert not list(here.objects.keys(f"datasets/{dataset_id}/"))


def test_a_part_that_a_system_fault_ended_is_read_again_and_told_after_its_last_attempt(
    here: World, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.inspecting.parts.AGAIN_SECONDS", -1.0)
    here.settings = here.settings.model_copy(update={"max_attempts": 2})
    dataset_id = divided(here, served)
    killed = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    claimed(here, dataset_id, 1, 60)
    for attempt in (1, 2):
        assert readers(here, "wrk_1", killed).run_next()
        with here.database.read() as session:
            part = parts.of_dataset(session, dataset_id)[0]
        assert (part.status, part.attempt) == (("waiting", "failed")[attempt - 1], attempt)
    assert readers(here, "wrk_1").run_next()
    row: Dataset = row_of(here, Dataset, dataset_id)
    assert (row.status, (row.error or {})["code"], (row.error or {})["fault"]) == ("invalid", "oom_host", "system")
    assert (row.error or {})["details"]["shards"] == [0, 1]


def test_a_sample_is_enough_where_no_more_is_asked_for_and_the_rest_is_read_later(
    here: World, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four shards the first and the last; a problem in another one is not met."""
    monkeypatch.setattr(sampling, "MOST_SHARDS", 2)
    write_tar(served.folder / "000001.tar", sample(50, "-1"))
    dataset_id = registered(here, served, inspection="sample")
    assert readers(here, "wrk_1").run_next()
    row: Dataset = row_of(here, Dataset, dataset_id)
    assert (row.status, row.report, row.error) == ("sampled", None, None)
    assert {path for path in served.asked if path.endswith(".tar")} == {"/000000.tar", "/000003.tar"}
    seen = (row.reading or {})["sample"]
    told = ("shards", "of_shards", "images", "estimated_images", "classes")
    assert [seen[name] for name in told] == [2, 4, 20, 40, ["0", "1", "2"]]
    assert not readers(here, "wrk_1").run_next()

    with here.database.write() as session:
        resources.inspect_on(session.get_one(Dataset, dataset_id))
    assert readers(here, "wrk_1").run_next()
    row = row_of(here, Dataset, dataset_id)
    assert (row.status, (row.reading or {})["parts"], (row.reading or {})["sample"]) == ("inspecting", 2, seen)


def test_a_problem_in_the_sample_is_told_before_the_rest_is_read(
    here: World, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MOST_SHARDS", 2)
    monkeypatch.setattr(sampling, "WORTH", 2)
    write_tar(served.folder / "000003.tar", sample(50, "-1"))
    dataset_id = registered(here, served)
    assert readers(here, "wrk_1").run_next()
    row: Dataset = row_of(here, Dataset, dataset_id)
    assert (row.status, row.reading, (row.error or {})["code"]) == ("invalid", None, "invalid_dataset")
    assert (row.error or {})["details"] == {"shard": served.url("000003.tar"), "key": "00050", "label": "-1"}
    assert {path for path in served.asked if path.endswith(".tar")} == {"/000000.tar", "/000003.tar"}
