"""Parts of a dataset of shards on both databases: several workers read, one at a time owns a part."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, select

from store.database import Database
from store.repositories import parts, resources
from store.repositories.leases import LeaseLost
from store.tables import Dataset, DatasetPart
from tests.store.support import new_dataset

ENTRY = {"url": "u", "size_bytes": 100, "sha256": "0" * 64}
FILE = {"object_key": "k", "size_bytes": 1, "sha256": "0" * 64}
PROBLEM = {"code": "invalid_dataset", "details": {"shard": "u"}}


def divided(database: Database, spans: tuple[tuple[int, int], ...] = ((0, 2), (2, 4), (4, 5)), **known: Any) -> str:
    dataset_id = new_dataset(database, kind="shards", status="inspecting")
    with database.write() as session:
        row = resources.claim(session, Dataset, dataset_id, "wrk_1", 60)
        assert row is not None
        parts.divide(session, row, spans, **known)
    return dataset_id


def taken(database: Database, dataset_id: str, number: int, worker: str = "wrk_1", seconds: float = 60) -> DatasetPart:
    with database.write() as session:
        found = parts.claim(session, dataset_id, number, worker, seconds)
    assert found is not None
    return found[0]


def finished(database: Database, part: DatasetPart, shards: int, error: Any = None) -> None:
    with database.write() as session:
        parts.finish(session, part, FILE, [ENTRY] * shards, error)


def waiting(database: Database) -> list[tuple[str, int]]:
    with database.read() as session:
        return parts.waiting(session)


def datasets_waiting(database: Database) -> list[str]:
    with database.read() as session:
        return resources.waiting(session, Dataset)


def row_of(database: Database, dataset_id: str) -> Dataset:
    with database.read() as session:
        return session.get_one(Dataset, dataset_id)


def test_several_workers_hold_parts_and_the_dataset_waits_for_all_of_them(database: Database) -> None:
    dataset_id = divided(database, bytes=500)
    assert datasets_waiting(database) == []
    assert waiting(database) == [(dataset_id, number) for number in range(3)]
    held = [taken(database, dataset_id, number, f"wrk_{number}") for number in range(3)]
    assert waiting(database) == []
    with database.write() as session:
        assert parts.claim(session, dataset_id, 1, "wrk_9", 60) is None
        parts.renew(session, held[1], 60, 1, 70)
    told = {"parts": 3, "parts_read": 0, "shards": 5, "shards_read": 1, "bytes_read": 70, "bytes": 500}
    assert row_of(database, dataset_id).reading == told
    for part, shards in zip(held, (2, 2, 1), strict=True):
        assert datasets_waiting(database) == []
        finished(database, part, shards)
    assert row_of(database, dataset_id).reading == told | {"parts_read": 3, "shards_read": 5, "bytes_read": 500}
    assert datasets_waiting(database) == [dataset_id]
    with database.write() as session:
        row = resources.claim(session, Dataset, dataset_id, "wrk_1", 60)
        assert row is not None
        assert row.attempt == 1  # making the parts was none
        assert [part.number for part in parts.of_dataset(session, dataset_id)] == [0, 1, 2]
        resources.finish(session, row, "ready")
        assert parts.of_dataset(session, dataset_id) == []
    assert row_of(database, dataset_id).reading is None


def test_a_part_whose_worker_died_is_taken_over_alone(database: Database) -> None:
    dataset_id = divided(database)
    finished(database, taken(database, dataset_id, 0), 2)
    dead, other = taken(database, dataset_id, 1, "wrk_dead", -1), taken(database, dataset_id, 2)
    assert waiting(database) == [(dataset_id, 1)]
    heir = taken(database, dataset_id, 1, "wrk_2")
    assert heir.attempt == 2
    with pytest.raises(LeaseLost):
        finished(database, dead, 2)
    finished(database, heir, 2)
    finished(database, other, 1)
    with database.read() as session:
        assert [(part.status, part.attempt) for part in parts.of_dataset(session, dataset_id)] == [
            ("read", 1), ("read", 2), ("read", 1),
        ]  # fmt: skip


def test_what_comes_behind_a_problem_is_read_by_nobody_and_what_comes_before_it_is(database: Database) -> None:
    dataset_id = divided(database)
    held = [taken(database, dataset_id, number) for number in range(3)]
    finished(database, held[1], 1, PROBLEM)
    with pytest.raises(LeaseLost), database.write() as session:
        parts.renew(session, held[2], 60, 0, 0)
    assert (waiting(database), datasets_waiting(database)) == ([], [])
    finished(database, held[0], 2)
    assert datasets_waiting(database) == [dataset_id]
    with database.read() as session:
        found = parts.of_dataset(session, dataset_id)
    assert [(part.status, part.error) for part in found] == [("read", None), ("failed", PROBLEM)]


def test_readers_go_to_the_dataset_that_fewest_read(database: Database) -> None:
    large, small = divided(database), divided(database, ((0, 1), (1, 2)))
    assert waiting(database)[0] == (large, 0)
    taken(database, large, 0)
    assert waiting(database)[0] == (small, 0)
    taken(database, small, 0)
    assert waiting(database)[0] == (large, 1)


def test_a_part_that_was_given_back_waits_again_and_may_have_used_up_an_attempt(database: Database) -> None:
    dataset_id = divided(database)
    for counts in (False, True):
        part = taken(database, dataset_id, 0)
        with database.write() as session:
            parts.release(session, part, -1, counts=counts)
    assert taken(database, dataset_id, 0).attempt == 2


def test_parts_go_with_their_dataset(database: Database) -> None:
    dataset_id = divided(database)
    part = taken(database, dataset_id, 0)
    with database.write() as session:
        session.execute(delete(Dataset).where(Dataset.id == dataset_id))
    with pytest.raises(LeaseLost):
        finished(database, part, 2)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(DatasetPart)) == 0
