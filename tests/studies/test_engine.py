"""Steps of studies: what is asked, told, given up and concluded. Trials' jobs end as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from distill.search import strategies
from store.database import Database
from store.repositories import jobs, studies, study_events
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Job, Trial
from tests.store.support import claimed, migrated, read_job
from tests.studies.support import (
    RATE,
    accuracy_of,
    all_trials,
    end,
    job_of,
    new_study,
    play,
    read,
    stepped,
    suggested,
    validated,
)
from worker.studies import concluding

SAMPLING = [name for name in strategies.names() if name != "grid"]
CHOICES = [{"pointer": RATE, "choices": [0.001, 0.01, 0.03, 0.3]}]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with migrated(f"sqlite:///{tmp_path_factory.mktemp('studies')}/retort.db") as database:
        yield database


def budget(number: int | None, parallel: int = 1, minutes: float | None = None) -> dict[str, Any]:
    return {"trials": number, "minutes": minutes, "parallel": parallel}


@pytest.mark.parametrize("strategy", SAMPLING)
def test_every_strategy_spends_its_budget_on_ordinary_jobs(database: Database, strategy: str) -> None:
    study_id = new_study(database, strategy=strategy, seeds=[0, 1], budget=budget(12, parallel=2))
    study, found = play(database, study_id, accuracy_of), all_trials(database, study_id)
    assert study.status == "succeeded"
    assert [trial.number for trial in found] == list(range(12))
    assert {trial.state for trial in found} == {"succeeded"}
    assert [(trial.configuration, trial.seed) for trial in found[:2]] == [(0, 0), (0, 1)]
    for trial in found:
        job = job_of(database, trial)
        assert (job.tenant_id, job.config["seed"]) == (DEFAULT_TENANT, trial.seed)
        assert job.config["learning_rate"] == trial.assignment.get(RATE, "auto")


@pytest.mark.parametrize("strategy", SAMPLING)
def test_the_same_seed_suggests_the_same_and_another_does_not(database: Database, strategy: str) -> None:
    """Every step begins from the rows, so this is also what a restart suggests."""
    made = [new_study(database, strategy=strategy, search_seed=seed, budget=budget(5)) for seed in (5, 5, 6)]
    for study_id in made:
        play(database, study_id, accuracy_of)
    first, again, other = (suggested(database, study_id) for study_id in made)
    assert first == again != other


def test_tpe_learns_from_what_was_told(database: Database) -> None:
    def upside_down(trial: Trial) -> float:
        return 1 - accuracy_of(trial)

    few = {"startup": 3}
    made = [new_study(database, strategy="tpe", strategy_parameters=few, budget=budget(8)) for _ in range(2)]
    for study_id, accuracy in zip(made, (accuracy_of, upside_down), strict=True):
        play(database, study_id, accuracy)
    one, other = (suggested(database, study_id) for study_id in made)
    assert one[:4] == other[:4]  # the base job, and what is drawn evenly first
    assert one[4:] != other[4:]


def test_a_grid_tries_every_point_once_and_says_that_no_more_is_there(database: Database) -> None:
    study_id = new_study(database, strategy="grid", space=CHOICES, seeds=[3, 4], budget=budget(None, parallel=3))
    study = play(database, study_id, accuracy_of)
    assert suggested(database, study_id) == [{}, *({RATE: value} for value in CHOICES[0]["choices"])]
    assert (study.exhausted, len(all_trials(database, study_id))) == (True, 10)


@pytest.mark.parametrize("strategy", strategies.names())
def test_equal_trials_are_one(database: Database, strategy: str) -> None:
    """A point that is the base job, and points that a small space offers twice."""
    space = [{"pointer": RATE, "choices": ["auto", 0.01]}, {"pointer": "/config/batch_size", "choices": [128, 64]}]
    study_id = new_study(database, strategy=strategy, space=space, budget=budget(50))
    study = play(database, study_id, accuracy_of)
    found = all_trials(database, study_id)
    assert (study.status, study.exhausted) == ("succeeded", True)
    assert len(found) == len({trial.digest for trial in found}) == 4  # the base job is one of the four


def test_a_conditional_place_is_varied_only_where_it_is_one(database: Database) -> None:
    temperature = "/config/recipe_parameters/temperature"
    space = [
        {"pointer": temperature, "choices": [2, 4], "when": {"/config/recipe": ["logit"]}},
        {"pointer": "/config", "choices": [{"recipe": "cross_entropy"}, {"recipe": "logit", "epochs": 3}]},
    ]
    study_id = new_study(database, {"epochs": 2}, strategy="grid", space=space, budget=budget(None))
    play(database, study_id, accuracy_of)
    found = [job_of(database, trial).config for trial in all_trials(database, study_id)]
    asked = [(each["recipe"], each["epochs"], each["recipe_parameters"]) for each in found]
    assert asked == [("cross_entropy", 2, {}), ("logit", 3, {"temperature": 2}), ("logit", 3, {"temperature": 4})]


@pytest.mark.parametrize(
    ("reason", "state", "outcome"),
    [("user", "cancelled", "stopped"), ("max_runtime", "succeeded", "max_runtime"), (None, "succeeded", None)],
)
def test_a_run_that_its_owner_stopped_is_no_value_of_its_configuration(
    database: Database, reason: str | None, state: str, outcome: str | None
) -> None:
    """It had fewer epochs than its configuration says; a limit of time is part of the base job, and all have it."""
    study_id = new_study(database, budget=budget(2))
    stepped(database, study_id)
    trial = _only_active(database, study_id)
    claimed(database, trial.job_id or "")
    with database.write() as session:
        session.get_one(Job, trial.job_id).stop_reason = reason
    end(database, trial.job_id or "", 0.9)
    stepped(database, study_id)
    told = all_trials(database, study_id)[0]
    assert (told.state, told.outcome, (told.values or {})["accuracy"]) == (state, outcome, 0.9)


# ---- pruning


def test_asha_gives_up_what_does_not_promise(database: Database) -> None:
    study_id = new_study(database, strategy="asha", seeds=[0, 1], budget=budget(20), resource=9)
    stepped(database, study_id)
    for accuracy in (0.5, 0.5):  # the base job
        end(database, _only_active(database, study_id).job_id or "", accuracy)
        stepped(database, study_id)
    good = _only_active(database, study_id)
    lease = claimed(database, good.job_id or "")
    validated(database, good.job_id or "", lease, [0.8, 0.9])
    assert stepped(database, study_id).jobs == []
    end(database, good.job_id or "", 0.9)
    stepped(database, study_id)
    second_seed = _only_active(database, study_id)
    assert (second_seed.configuration, second_seed.seed) == (1, 1)  # owed once the first was not given up
    end(database, second_seed.job_id or "", 0.91)
    stepped(database, study_id)
    bad = _only_active(database, study_id)
    lease = claimed(database, bad.job_id or "")
    validated(database, bad.job_id or "", lease, [0.2])
    assert stepped(database, study_id).jobs == [bad.job_id]
    job = read_job(database, bad.job_id or "")
    assert (job.status, job.stop_reason, job.stop_requested) == ("stopping", "pruned", True)
    assert stepped(database, study_id).jobs == []  # nothing new: nothing is asked twice
    end(database, bad.job_id or "", 0.2)
    stepped(database, study_id)
    told = {trial.number: trial for trial in all_trials(database, study_id)}[bad.number]
    assert (told.state, (told.values or {})["accuracy"], told.reported) == ("pruned", 0.2, {"1": 0.2})
    assert read_job(database, bad.job_id or "").status == "succeeded"
    following = _only_active(database, study_id)
    assert (following.configuration, following.seed) == (
        bad.configuration + 1,
        0,
    )  # what was given up owes none


def _only_active(database: Database, study_id: str) -> Trial:
    (found,) = all_trials(database, study_id, "active")
    return found


def test_a_pruning_decision_hangs_on_no_moment(database: Database) -> None:
    """Validations one by one and all at once: the same trials are given up."""

    def run(at_once: bool) -> list[tuple[str, dict[str, Any]]]:
        study_id = new_study(database, strategy="asha", budget=budget(5), resource=9)
        while read(database, study_id).status == "running":
            stepped(database, study_id)
            for trial in all_trials(database, study_id, "active"):
                _validate(database, study_id, trial, at_once)
        return [(trial.state, trial.marks) for trial in all_trials(database, study_id)]

    assert run(at_once=False) == run(at_once=True)


def _validate(database: Database, study_id: str, trial: Trial, at_once: bool) -> None:
    job_id = trial.job_id or ""
    lease, values = claimed(database, job_id), [accuracy_of(trial) + epoch / 100 for epoch in range(9)]
    for number in [8] if at_once else range(1, 9):
        validated(database, job_id, lease, values[:number])
        stepped(database, study_id)
        if read_job(database, job_id).status == "stopping":
            break
    end(database, job_id, accuracy_of(trial))


# ---- endings


def test_diverged_and_at_chance_runs_are_told_and_counted(database: Database) -> None:
    study_id = new_study(database, strategy="tpe", budget=budget(4))
    for code in (None, "diverged", "at_chance", "max_attempts_exceeded"):
        stepped(database, study_id)
        end(database, _only_active(database, study_id).job_id or "", 0.5 if code is None else None, code or "")
    stepped(database, study_id)
    study, found = read(database, study_id), all_trials(database, study_id)
    assert [trial.outcome for trial in found] == [None, "diverged", "at_chance", "max_attempts_exceeded"]
    assert (study.status, study.result and study.result["base_is_best"]) == ("succeeded", True)


def test_a_study_whose_every_trial_fails_fails(database: Database) -> None:
    study_id = new_study(database, budget=budget(2))
    for _ in range(2):
        stepped(database, study_id)
        end(database, _only_active(database, study_id).job_id or "")
    stepped(database, study_id)
    study = read(database, study_id)
    assert (study.status, (study.error or {})["code"]) == ("failed", "no_trial_succeeded")


def test_a_configuration_that_no_job_takes_is_a_failed_trial(database: Database) -> None:
    space = [{"pointer": "/config/epochs", "choices": [0, 2]}]
    study_id = new_study(database, strategy="grid", space=space, budget=budget(None))
    study, found = play(database, study_id, accuracy_of), all_trials(database, study_id)
    assert study.status == "succeeded"
    assert [(trial.state, trial.outcome) for trial in found] == [
        ("succeeded", None), ("failed", "invalid_config"), ("succeeded", None),
    ]  # fmt: skip


def test_a_trial_whose_job_is_deleted_is_cancelled_and_what_was_told_stays(database: Database) -> None:
    study_id = new_study(database, budget=budget(3))
    stepped(database, study_id)
    end(database, _only_active(database, study_id).job_id or "", 0.5)
    stepped(database, study_id)
    first, second = all_trials(database, study_id)
    with database.write() as session:
        for trial in (first, second):
            jobs.delete(session, trial.job_id or "")
    stepped(database, study_id)
    first, second, third = all_trials(database, study_id)
    assert (first.state, (first.values or {})["accuracy"], first.job_id) == ("succeeded", 0.5, None)
    assert (second.state, second.outcome, third.state) == ("cancelled", "deleted", "active")


def test_the_budget_of_minutes_ends_the_asking(database: Database) -> None:
    study_id = new_study(database, budget=budget(None, minutes=1e-9))
    stepped(database, study_id)
    end(database, _only_active(database, study_id).job_id or "", 0.5)
    stepped(database, study_id)
    assert (read(database, study_id).status, len(all_trials(database, study_id))) == ("succeeded", 1)
    assert read(database, study_id).result["reading"] == concluding.ALONE  # type: ignore[index]


def test_a_full_queue_is_waited_for(database: Database) -> None:
    study_id = new_study(database, budget=budget(6, parallel=4))
    with database.read() as session:
        waiting = sum(row[0] == "queued" for row in session.query(Job.status).all())
    settings = Settings(max_queued_jobs=waiting + 2)
    made = stepped(database, study_id, settings)
    assert (len(made.jobs), made.version) == (2, None)
    for trial in all_trials(database, study_id, "active"):
        end(database, trial.job_id or "", 0.5)
    assert len(stepped(database, study_id, settings).jobs) == 2


# ---- the winner


def test_the_winner_is_confirmed_with_fresh_seeds(database: Database) -> None:
    study_id = new_study(database, seeds=[0, 5], confirm=3, budget=budget(20, parallel=3))
    study, found = play(database, study_id, accuracy_of), all_trials(database, study_id)
    result = study.result or {}
    confirming = [(trial.configuration, trial.seed) for trial in found if trial.purpose == "confirmation"]
    assert confirming == [(number, seed) for seed in (6, 7, 8) for number in (result["winner"], 0)]
    assert (result["confirmed"], result["difference"]["n"], result["difference"]["verdict"]) == (True, 3, "better")
    tested = {trial.configuration for trial in found if trial.test is not None}
    assert tested == {0, result["winner"]}  # the test set is read out at the end, for what is reported
    assert all(trial.test == {"accuracy": pytest.approx((trial.values or {})["accuracy"] - 0.01)}
               for trial in found if trial.test is not None)  # fmt: skip


def test_a_lucky_winner_is_within_noise(database: Database) -> None:
    def lucky(trial: Trial) -> float:
        if trial.purpose == "search":
            return 0.5 + trial.number / 100
        return 0.6 + 0.01 * ((trial.seed * 3 + trial.configuration) % 4)

    study_id = new_study(database, confirm=3, budget=budget(5))
    result = play(database, study_id, lucky).result or {}
    assert (result["winner"], result["confirmed"]) == (4, False)
    assert result["difference"]["verdict"] == "within noise"


def test_a_winner_keeps_the_limits(database: Database) -> None:
    objectives = [
        {"name": "accuracy", "direction": "maximize", "limit": None},
        {"name": "bytes", "direction": "minimize", "limit": 1000},
    ]
    study_id = new_study(database, strategy="tpe", objectives=objectives, budget=budget(4))
    for accuracy, size in ((0.5, 900), (0.9, 2000), (0.7, 1000), (0.6, 10)):
        stepped(database, study_id)
        end(database, _only_active(database, study_id).job_id or "", accuracy, bytes=size)
    stepped(database, study_id)
    assert (read(database, study_id).result or {})["winner"] == 2


def beats_the_base_job(trial: Trial) -> float:
    return accuracy_of(trial) / (1 if trial.configuration else 2)


def test_a_study_goes_on_with_a_larger_budget(database: Database) -> None:
    study_id = new_study(database, confirm=2, budget=budget(3))
    play(database, study_id, beats_the_base_job)
    with database.write() as session:
        study = studies.take(session, study_id)
        assert study is not None
        studies.write(session, study, budget=budget(6), phase="searching", result=None)
        studies.move(session, study, "running")
    again = play(database, study_id, beats_the_base_job)
    straight = new_study(database, confirm=2, budget=budget(6))
    play(database, straight, beats_the_base_job)
    assert suggested(database, study_id) == suggested(database, straight)
    seeds = [trial.seed for trial in all_trials(database, study_id) if trial.purpose == "confirmation"]
    assert (again.status, len(set(seeds))) == ("succeeded", 4)  # fresh once more


def test_a_cancelled_study_asks_nothing_and_ends_with_its_trials(database: Database) -> None:
    study_id = new_study(database, budget=budget(6))
    stepped(database, study_id)
    with database.write() as session:
        study = studies.take(session, study_id)
        assert study is not None
        studies.move(session, study, "cancelling")
    assert stepped(database, study_id).jobs == []
    assert read(database, study_id).status == "cancelling"
    end(database, _only_active(database, study_id).job_id or "", 0.5)
    stepped(database, study_id)
    assert (read(database, study_id).status, len(all_trials(database, study_id))) == ("cancelled", 1)


# ---- events


def test_events_are_numbered_without_gaps_and_tell_every_trial(database: Database) -> None:
    study_id = new_study(database, confirm=1, budget=budget(4, parallel=2))
    play(database, study_id, accuracy_of)
    with database.read() as session:
        found = study_events.after(session, study_id, 0, 1000)
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    told = [(event.data["number"], event.data["state"]) for event in found if event.kind == "trial"]
    expected = {(trial.number, state) for trial in all_trials(database, study_id) for state in ("active", trial.state)}
    assert (len(told), set(told)) == (len(expected), expected)
    assert [event.data["status"] for event in found if event.kind == "status"] == ["running", "succeeded"]


class Killed(Exception):
    """As a process that is killed: nothing after it happens."""


def test_a_step_that_is_killed_anywhere_loses_and_doubles_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every flush in turn, in every step: the transaction is gone, and the next step does the same."""
    undisturbed = new_study(database, strategy="tpe", seeds=[0, 1], confirm=1, budget=budget(8, parallel=2))
    play(database, undisturbed, accuracy_of)
    study_id = new_study(database, strategy="tpe", seeds=[0, 1], confirm=1, budget=budget(8, parallel=2))
    original, left = Session.flush, [0]

    def flush(self: Session, *given: Any) -> None:
        original(self, *given)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    kills, survived = 0, False
    while read(database, study_id).status == "running":
        survived, number = False, 0
        while not survived:
            number += 1
            left[0] = number
            with monkeypatch.context() as patch:
                patch.setattr(Session, "flush", flush)
                try:
                    stepped(database, study_id)
                    survived = True
                except Killed:
                    kills += 1
        for trial in all_trials(database, study_id, "active")[:1]:
            end(database, trial.job_id or "", accuracy_of(trial))
    assert kills > 50
    assert _told(database, study_id) == _told(database, undisturbed)
    assert _strays(database, study_id) == []


def _told(database: Database, study_id: str) -> list[Any]:
    return [
        (trial.number, trial.configuration, trial.seed, trial.assignment, trial.state, trial.values)
        for trial in all_trials(database, study_id)
    ]


def _strays(database: Database, study_id: str) -> list[str]:
    """Jobs that are named as the study's trials and are none."""
    with database.read() as session:
        named = {job_id for (job_id,) in session.query(Job.id).filter(Job.name.startswith(f"{study_id} #"))}
    return sorted(named - {trial.job_id for trial in all_trials(database, study_id)})


def test_of_what_was_given_up_a_budget_tells_the_best_until_it_stopped(database: Database) -> None:
    narrow, wide = ({"name": "retort:resnet8", "options": {"width": width}} for width in (1, 4))
    counted = [{"architecture": narrow, "figures": {"bytes": 10}}, {"architecture": wide, "figures": {"bytes": 100}}]
    budget = {"budget": {"bytes": 100}, "families": None, "counted": counted}
    space = [{"pointer": "/student", "choices": [narrow, wide]}]
    values: dict[str, Any] = {"strategy": "asha", "space": space, "student_budget": budget}
    study_id = new_study(database, budget={"trials": 9, "minutes": None, "parallel": 1}, **values)
    for _ in range(6):
        stepped(database, study_id)
        if (active := all_trials(database, study_id, "active")) and (job_id := active[0].job_id):
            small = active[0].assignment.get("/student") == narrow
            lease = claimed(database, job_id)
            validated(database, job_id, lease, [0.1] if small else [0.5])
            stepped(database, study_id)
            end(database, job_id, 0.3 if small else 0.9)
    found = (read(database, study_id).result or {})["student_budget"]
    assert (found["half"]["value"], found["half"]["seeds"]) == (0.3, 0)
    assert (found["budget"]["value"], found["budget"]["student"]) == (0.9, wide)
