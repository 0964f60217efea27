"""What a trainer says is written once, whatever is repeated."""

from __future__ import annotations

from typing import Any

import pytest

from distill.types import Event
from store.database import Database
from store.repositories import jobs, recording
from store.repositories.leases import Ending, LeaseLost, settle
from store.tables import Artifact, Checkpoint, Job
from tests.store.support import claimed, event_list, new_job, read_job

POINT = {"index": 0, "name": "stem", "quality": 0.5}


def metrics(step: int, value: float) -> Event:
    return Event("metrics", {"step": step, "epoch": step / 10, "split": "train", "values": {"loss": value}})


def kinds(database: Database, job_id: str) -> list[str]:
    return [kind for _, kind, _ in event_list(database, job_id)]


def test_every_kind_lands_where_it_belongs(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    batch = [
        Event("phase", {"phase": "scoring"}),
        Event("resolved", {"config": {"learning_rate": 0.1}, "reasons": {}}),
        Event("layers", {"total_layers": 1, "digest": "d"}),
        Event("layer_quality", POINT),
        Event("selection", {"rule": "top", "chosen": [0]}),
        metrics(1, 2.0),
        Event("progress", {"fraction": 0.1}),
        Event("progress", {"fraction": 0.2}),
        Event("log", {"level": "info", "message": "hello"}),
        Event("result", {"accuracy": 0.9}),
        Event("done"),
    ]
    with database.write() as session:
        assert recording.record_batch(session, lease, batch, 0) == len(batch)
    job = read_job(database, job_id)
    assert (job.phase, job.progress, job.result) == ("scoring", {"fraction": 0.2}, {"accuracy": 0.9})
    assert (job.curve, job.selection) == ({"total_layers": 1, "digest": "d"}, {"rule": "top", "chosen": [0]})
    assert job.resolved == {"config": {"learning_rate": 0.1}, "reasons": {}}
    with database.read() as session:
        assert jobs.curve_points(session, job_id) == [POINT]
        assert [row.values for row in jobs.metrics(session, job_id, None, 0, 10)] == [{"loss": 2.0}]
        assert [row.message for row in jobs.log_tail(session, job_id, 10)] == ["hello"]
    assert kinds(database, job_id)[2:] == [
        "phase", "resolved", "layers", "layer_quality", "selection", "metrics", "result",
    ]  # fmt: skip


def test_a_batch_given_twice_is_written_once(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    batch = [Event("phase", {"phase": "scoring"}), Event("log", {"level": "info", "message": "a"})]
    longer = [*batch, Event("log", {"level": "info", "message": "b"})]
    for given, first, following in ((batch, 0, 2), (longer, 0, 3), (longer, 0, 3), (longer[2:], 2, 3)):
        with database.write() as session:
            assert recording.record_batch(session, lease, given, first) == following
    with database.read() as session:
        assert [row.message for row in jobs.log_tail(session, job_id, 10)] == ["a", "b"]
    assert kinds(database, job_id).count("phase") == 1


def test_a_resumed_attempt_repeats_steps_without_new_events(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    said = [
        Event("resolved", {"config": {}}),
        Event("layers", {"digest": "d"}),
        Event("layer_quality", POINT),
        metrics(1, 2),
    ]
    with database.write() as session:
        recording.record_batch(session, lease, said, 0)
        recording.add_checkpoint(session, lease, checkpoint(job_id, "k1"))
        settle(session, lease, Ending("queued", "handed_over"))
    before = len(kinds(database, job_id))
    lease = claimed(database, job_id)
    with database.write() as session:
        recording.record_batch(session, lease, [*said[:3], metrics(1, 3), metrics(2, 1)], 0)
        recording.add_checkpoint(session, lease, checkpoint(job_id, "k2"))
    assert kinds(database, job_id)[before:] == ["status", "metrics"]
    with database.read() as session:
        assert [row.values["loss"] for row in jobs.metrics(session, job_id, "train", 0, 10)] == [3, 1]
        assert [row.object_key for row in jobs.checkpoints(session, job_id)] == ["k2"]


def checkpoint(job_id: str, key: str) -> Checkpoint:
    return Checkpoint(job_id=job_id, step=10, epoch=1.0, attempt=1, object_key=key, size_bytes=1, sha256="0" * 64)


def test_an_artifact_is_replaced_not_doubled(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    for size in (1, 2):
        row = Artifact(job_id=job_id, name="a", media_type="m", object_key="k", size_bytes=size, sha256="0" * 64)
        with database.write() as session:
            recording.add_artifact(session, lease, row)
    with database.read() as session:
        assert [row.size_bytes for row in jobs.artifacts(session, job_id)] == [2]
    assert kinds(database, job_id).count("artifact") == 1


def test_a_warning_is_kept_once_a_code(database: Database) -> None:
    """Though every attempt that begins anew says it again."""
    job_id = new_job(database)
    lease = claimed(database, job_id)
    first, second = ({"code": code, "message": "m", "remedy": "r", "details": {"n": 1}} for code in ("a", "b"))
    for data in (first, second, first):
        with database.write() as session:
            recording.record(session, lease, Event("warning", data))
    with database.read() as session:
        assert session.get_one(Job, job_id).warnings == {"a": first, "b": second}
    assert kinds(database, job_id).count("warning") == 2


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (1.5, 1.5),
        ("a\x00b", "ab"),
        ("\ud800", "?"),
        ({"a": [float("inf"), {"b\x00": (1, "c")}]}, {"a": [None, {"b": [1, "c"]}]}),
        (True, True),
    ],
)
def test_clean(value: Any, kept: Any) -> None:
    assert recording.clean(value) == kept


def test_what_no_database_can_keep_is_cleaned_first(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    batch = [metrics(1, float("nan")), Event("log", {"level": "info", "message": "nul \x00 lone \udcff"})]
    with database.write() as session:
        recording.record_batch(session, lease, batch, 0)
    with database.read() as session:
        assert jobs.metrics(session, job_id, None, 0, 10)[0].values == {"loss": None}
        assert jobs.log_tail(session, job_id, 1)[0].message == "nul  lone ?"


def test_a_batch_without_the_lease_is_refused_whole(database: Database) -> None:
    job_id = new_job(database)
    lease = claimed(database, job_id)
    with database.write() as session:
        settle(session, lease, Ending("queued", "handed_over"))
    with pytest.raises(LeaseLost), database.write() as session:
        recording.record_batch(session, lease, [Event("log", {"level": "info", "message": "x"})], 0)
    with database.read() as session:
        assert jobs.log_tail(session, job_id, 1) == []


def test_cached_curve_keeps_the_first(database: Database) -> None:
    for seed in (1, 2):
        with database.write() as session:
            recording.cache_curve(session, "tnt_default", {"digest": "d", "seed": seed})
    with database.read() as session:
        assert jobs.cached_curve(session, "tnt_default", "d") == {"digest": "d", "seed": 1}
        assert jobs.cached_curve(session, "tnt_other", "d") is None
