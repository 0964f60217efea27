"""A trainer that talks faster than its worker can write holds up itself, and nothing that it says is lost."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path

import pytest

from distill.types import Event
from tests.slowness import within
from tests.store.support import event_list
from tests.worker.support import World, program, settings_for, wait_until
from worker.jobs.journal import MOST_BYTES, Journal
from worker.processes.environment import child_environment
from worker.processes.events import Events
from worker.processes.process import TrainerProcess


def test_the_reader_waits_where_as_much_as_may_wait_is_there() -> None:
    events, sent = Events(most_bytes=10), list[int]()

    def send() -> None:
        for number in range(100):
            events.put(Event("log", {"number": number}), 5)
            sent.append(number)
        events.close()

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: events.bytes >= 10)
    assert len(sent) <= 2
    got = [event.data["number"] for event, _ in iter(lambda: events.get(within(10)), None)]
    thread.join(within(10))
    assert got == list(range(100))
    assert events.get() is None
    assert events.bytes == 0


def test_a_full_journal_says_so() -> None:
    journal = Journal(None)  # type: ignore[arg-type]
    journal.add(Event("log"), MOST_BYTES - 1)
    assert not journal.full
    journal.add(Event("log"), 1)
    assert journal.full


def test_nothing_there_is_said() -> None:
    with pytest.raises(queue.Empty):
        Events().get()


def test_lifting_takes_in_what_is_left() -> None:
    events = Events(most_bytes=1)
    thread = threading.Thread(target=lambda: [events.put(Event("done"), 1) for _ in range(50)])
    thread.start()
    events.lift()
    thread.join(within(10))
    assert events.bytes == 50


def test_a_flood_stays_in_the_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps({"resume_from": ""}))
    process = TrainerProcess(program("floods"), folder, child_environment(settings_for(tmp_path), {}))
    process.events._most = 1_000_000
    try:
        wait_until(lambda: process.events.bytes >= 1_000_000)
        assert process.events.bytes < 1_300_000  # one line more
        assert not process.exited()
    finally:
        process.end(0)
    assert process.events.bytes < 1_300_000 + (1 << 20)  # and what a pipe holds


def test_orders_reach_a_trainer_that_never_stops_talking(world: World) -> None:
    world.queue(max_runtime_seconds=1)
    world.settings.runtime_grace_seconds = 0.5
    assert world.run("floods") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "max_runtime_exceeded"
    assert world.nothing_left()


def test_all_that_a_talker_said_is_there(world: World) -> None:
    assert world.run("says_much") == "succeeded"
    steps = [data["step"] for _, kind, data in event_list(world.database, world.job_id) if kind == "metrics"]
    assert steps == list(range(400))
