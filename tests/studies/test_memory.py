"""What a worker remembers of a study changes no step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, event, update

from store.database import Database
from store.tables import Study, Trial
from tests.store.support import claimed, migrated
from tests.studies.support import SETTINGS, SPACE, accuracy_of, all_trials, end, new_study, read, validated
from worker.studies.memory import Memory
from worker.studies.step import step

SPACE_OF_TWO = [*SPACE, {"pointer": "/config/batch_size", "choices": [16, 32, 64]}]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with migrated(f"sqlite:///{tmp_path_factory.mktemp('studies')}/retort.db") as database:
        yield database


class Undone(Exception):
    pass


def undo(database: Database, study_id: str, memory: Memory | None) -> None:
    with database.write() as session:
        step(session, SETTINGS, study_id, memory)
        raise Undone


def made(database: Database, strategy: str, memories: Iterator[Memory | None], undone: int = 0) -> list[Any]:
    """The trials of a study whose steps use `memories` in turn; every step is undone `undone` times first."""
    study_id = new_study(
        database, strategy=strategy, space=SPACE_OF_TWO, seeds=[0, 1], confirm=1, resource=9,
        budget={"trials": 14, "minutes": None, "parallel": 2},
    )  # fmt: skip
    while read(database, study_id).status == "running":
        memory = next(memories)
        for _ in range(undone):
            with pytest.raises(Undone):
                undo(database, study_id, memory)
        with database.write() as session:
            step(session, SETTINGS, study_id, memory)
        for trial in all_trials(database, study_id, "active")[:1]:
            job_id = trial.job_id or ""
            if trial.purpose == "search":
                validated(database, job_id, claimed(database, job_id), [accuracy_of(trial) / 2, accuracy_of(trial)])
                with database.write() as session:
                    step(session, SETTINGS, study_id, memory)
            end(database, job_id, accuracy_of(trial))
    return [
        (trial.configuration, trial.seed, trial.purpose, trial.assignment, trial.state, trial.values, trial.test)
        for trial in all_trials(database, study_id)
    ]


def turns(*memories: Memory | None) -> Iterator[Memory | None]:
    while True:
        yield from memories


@pytest.mark.parametrize("strategy", ["tpe", "asha"])
def test_two_workers_that_remember_do_as_one_that_forgets(database: Database, strategy: str) -> None:
    """Also where steps are undone behind their back."""
    expected = made(database, strategy, turns(None))
    assert made(database, strategy, turns(Memory())) == expected
    assert made(database, strategy, turns(Memory(), Memory()), undone=1) == expected


def test_a_step_reads_the_trials_that_it_does_not_know(database: Database) -> None:
    study_id, memory = new_study(database, budget={"trials": 12, "minutes": None, "parallel": 1}), Memory()
    read_ = list[int]()

    def note(trial: Trial, _: Any) -> None:
        read_.append(trial.number)

    event.listen(Trial, "load", note)
    try:
        for number in range(6):
            read_.clear()
            with database.write() as session:
                step(session, SETTINGS, study_id, memory)
            assert read_ == list(range(number))[-2:]  # the one that had ended meanwhile, and the active one
            (active,) = all_trials(database, study_id, "active")
            end(database, active.job_id or "", 0.5)
    finally:
        event.remove(Trial, "load", note)


def test_a_database_that_was_put_back_is_read_again(database: Database) -> None:
    study_id, memory = new_study(database), Memory()
    for _ in range(2):
        with database.write() as session:
            step(session, SETTINGS, study_id, memory)
        (active,) = all_trials(database, study_id, "active")
        end(database, active.job_id or "", 0.5)
    with database.write() as session:
        session.execute(delete(Trial).where(Trial.study_id == study_id))
        session.execute(update(Study).where(Study.id == study_id).values(event_seq=1))
    with database.write() as session:
        assert memory.trials(session, session.get_one(Study, study_id)) == []
