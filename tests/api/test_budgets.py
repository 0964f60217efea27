"""A student by its budget: a worker's counting is played by a thread that really counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill.models.listing import catalogue
from distill.search.space import canonical
from distill.tasks import networks
from distill.types import Event
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.repositories import costs, system
from store.tables import Study, Worker
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.studies.support import all_trials, end, play, read, stepped

OURS = ("retort:resnet8", "retort:resnet14")
REPORT = {
    "classes": ["a", "b"], "counts": {"train": [500, 500], "test": [50, 50]}, "modes": {"grey": 1100, "colour": 0},
    "heights": [8, 8, 8], "widths": [8, 8, 8],
}  # fmt: skip
BUDGET = {"bytes": 40_000}
ANSWERS: dict[str, dict[str, Any]] = {}
"""What was counted for an earlier test."""


class Counter:
    """Answers what workers are asked about networks, until it ends. `asked`: how often."""

    def __init__(self, database: Database, doorbell: InProcessDoorbell) -> None:
        self._database, self._doorbell, self.asked = database, doorbell, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Counter:
        with self._database.write() as session:
            system.register_worker(session, Worker(id="wrk_a", hostname="h", pid=1, slots=1))
            entries = [entry for entry in catalogue() if entry["name"] in OURS]
            system.publish(session, "architecture", entries)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._doorbell.ring("job", "end")
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            seen = self._doorbell.rings
            with self._database.read() as session:
                question = costs.next_wanted(session)
            if question is not None:
                self.asked += 1
                found = ANSWERS.setdefault(costs.key(question), {}) or networks.measure(question)
                ANSWERS[costs.key(question)] = found
                with self._database.write() as session:
                    costs.answer(session, question, {"cost": found})
                continue
            self._doorbell.wait(seen, 1)


@pytest.fixture
def counter(client: TestClient, driver: Driver, database: Database, doorbell: InProcessDoorbell) -> Iterator[Counter]:
    with Counter(database, doorbell) as counter:
        yield counter


def job(driver: Driver, budget: dict[str, Any], **student: Any) -> dict[str, Any]:
    return {
        "dataset": driver.dataset(report=REPORT), "student": {"budget": budget} | student,
        "config": {"recipe": "cross_entropy", "epochs": 2},
    }  # fmt: skip


def test_a_job_gets_the_largest_student_within_the_budget(
    client: TestClient, driver: Driver, database: Database, counter: Counter
) -> None:
    body = job(driver, BUDGET)
    dry = client.post("/jobs?dry_run=true", json=body)
    assert dry.status_code == 200, dry.text
    made = client.post("/jobs", json=body)
    assert made.status_code == 202, made.text
    shown = made.json()
    assert dry.json()["student"] == shown["student"]
    assert dry.json()["student_budget"] == shown["student_budget"]
    table = {canonical(row["architecture"]): row for row in shown["student_budget"]["table"]}
    chosen = table[canonical(shown["student"])]
    assert chosen["within"] == "budget"
    assert chosen["bytes"] <= BUDGET["bytes"]
    # What is larger than it in both figures and within the budget would have been taken.
    larger = [r for r in table.values() if r["parameters"] * r["flops"] > chosen["parameters"] * chosen["flops"]]
    assert larger
    assert all(row["within"] == "double" for row in larger)
    told = {"config": shown["config"], "reasons": {"layers": "given"}}
    driver.record(driver.claim(shown["id"]), Event("resolved", told))
    reasons = client.get(shown["links"]["self"]).json()["resolved"]["reasons"]
    assert reasons["student"] == shown["student_budget"]["reason"]
    assert reasons["layers"] == "given"


def test_what_was_counted_is_remembered(client: TestClient, driver: Driver, counter: Counter) -> None:
    body = job(driver, BUDGET, families=["retort:resnet8"])
    answers = [client.post("/jobs", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert counter.asked == 1
    assert answers[0].json()["student"]["name"] == "retort:resnet8"


def test_int8_buys_a_larger_student(client: TestClient, driver: Driver, counter: Counter) -> None:
    bought = {
        form: client.post(
            "/jobs?dry_run=true", json=job(driver, {"bytes": 200_000, "form": form}, families=["retort:resnet8"])
        ).json()
        for form in ("fp32", "int8")
    }
    tables = {form: each["student_budget"]["table"] for form, each in bought.items()}
    parameters = {
        form: next(row["parameters"] for row in table if row["architecture"] == bought[form]["student"])
        for form, table in tables.items()
    }
    assert parameters["int8"] > 1.5 * parameters["fp32"]


def test_latency_is_measured_with_the_threads_that_were_asked_for(
    client: TestClient, driver: Driver, counter: Counter
) -> None:
    budget = {"latency_ms": 1000, "parameters": 3_000, "threads": 1}
    found = client.post("/jobs?dry_run=true", json=job(driver, budget, families=["retort:resnet8"])).json()
    measured = found["student_budget"]["measured"]
    assert measured["threads"] == 1
    assert set(measured) == {"threads", "others", "quiet"}
    assert all(row["latency_ms"] > 0 for row in found["student_budget"]["table"] if row["within"] != "double")


def test_a_budget_below_the_smallest_is_refused_with_it(client: TestClient, driver: Driver, counter: Counter) -> None:
    document = problem(client.post("/jobs", json=job(driver, {"bytes": 3000})), 422, "budget_unreachable")
    assert pointers(document) == {"/student/budget"}
    smallest = document["details"]["smallest"]
    assert smallest["architecture"] == {"name": "retort:resnet8", "options": {"width": 1}}
    enough = client.post("/jobs?dry_run=true", json=job(driver, {"bytes": smallest["bytes"]}))
    assert enough.status_code == 200
    assert enough.json()["student"] == smallest["architecture"]


@pytest.mark.parametrize(
    ("student", "code", "place"),
    [
        ({"budget": {}}, "invalid_request", "/student/budget"),
        ({"budget": {"threads": 2}}, "invalid_request", "/student/budget"),
        ({"budget": {"bytes": 0}}, "invalid_request", "/student/budget/bytes"),
        ({"budget": {"bytes": True}}, "invalid_request", "/student/budget/bytes"),
        ({"budget": BUDGET, "families": ["retort:resnet8", "retort:resent"]}, "unknown_name", "/student/families/1"),
        ({"budget": BUDGET, "families": []}, "invalid_request", "/student/families"),
    ],
)
def test_what_is_wrong_with_a_budget_is_told_at_its_place(
    client: TestClient, driver: Driver, counter: Counter, student: dict[str, Any], code: str, place: str
) -> None:
    document = problem(client.post("/jobs", json=job(driver, BUDGET) | {"student": student}), 422, code)
    assert any(found.startswith(place) for found in pointers(document))


def test_the_rest_of_the_job_is_checked_before_anything_is_counted(
    client: TestClient, driver: Driver, counter: Counter
) -> None:
    body = job(driver, BUDGET) | {"config": {"recipe": "logit"}}
    assert pointers(problem(client.post("/jobs", json=body), 422, "teacher_required")) == {"/teacher"}
    assert counter.asked == 0


def test_without_a_worker_nobody_counts(client: TestClient, driver: Driver) -> None:
    document = problem(client.post("/jobs", json=job(driver, BUDGET)), 409, "students_not_counted")
    assert document["retryable"]


# ---- studies


def study(driver: Driver, **values: Any) -> dict[str, Any]:
    return {"base": job(driver, BUDGET), "seeds": 1, "budget": {"trials": 40, "parallel": 1}, "confirm": 0} | values


def test_a_study_trains_the_candidates_and_says_what_the_budget_buys(
    client: TestClient, driver: Driver, database: Database, counter: Counter
) -> None:
    made = client.post("/studies", json=study(driver))
    assert made.status_code == 202, made.text
    shown = made.json()
    assert shown["strategy"]["name"] == "asha"
    counted = {canonical(each["architecture"]): each["figures"] for each in shown["student_budget"]["counted"]}
    assert {canonical(each) for each in shown["space"]["/student"]["choices"]} == set(counted)
    assert any(each["bytes"] > BUDGET["bytes"] for each in counted.values())
    # The more parameters the better, so that what double the budget buys is best, and must not win.
    play(database, shown["id"], lambda trial: 0.5 + counted[_student(database, shown["id"], trial)]["parameters"] / 1e5)
    found = client.get(shown["links"]["self"]).json()
    bought = found["result"]["student_budget"]
    winner = next(row for row in bought["front"] if row["configuration"] == bought["budget"]["configuration"])
    assert found["result"]["winner"] == winner["configuration"]
    assert winner["figures"]["bytes"] <= BUDGET["bytes"]
    assert bought["half"]["figures"]["bytes"] <= BUDGET["bytes"] / 2
    assert bought["double"]["value"] > bought["budget"]["value"] > bought["half"]["value"]
    assert BUDGET["bytes"] < bought["double"]["figures"]["bytes"] <= 2 * BUDGET["bytes"]
    assert bought["outside"] == bought["double"]
    assert found["result"]["student_budget"]["reading"].count(bought["outside"]["student"]["name"]) > 0


def _student(database: Database, study_id: str, trial: Any) -> str:
    found = read(database, study_id)
    return canonical(trial.assignment.get("/student", found.base["student"]))


def test_a_given_up_candidate_still_says_what_half_the_budget_buys(
    client: TestClient, driver: Driver, database: Database, counter: Counter
) -> None:
    shown = client.post("/studies", json=study(driver, strategy="grid")).json()
    stepped(database, shown["id"])
    with database.write() as session:
        session.get_one(Study, shown["id"]).budget = {"trials": 1, "minutes": None, "parallel": 1}
    (first,) = all_trials(database, shown["id"], "active")
    end(database, first.job_id or "", 0.9)
    stepped(database, shown["id"])
    bought = client.get(shown["links"]["self"]).json()["result"]["student_budget"]
    assert (bought["budget"]["seeds"], bought["half"], bought["outside"]) == (1, None, None)


def test_a_space_may_name_the_budget_beside_a_base_job_that_does_not(
    client: TestClient, driver: Driver, counter: Counter
) -> None:
    base = job(driver, BUDGET) | {"student": "retort:resnet8"}
    space = {"/student": {"student": {"budget": BUDGET}}, "/config/learning_rate": {"choices": [0.001, 0.01]}}
    dry = client.post("/studies?dry_run=true", json=study(driver, base=base, space=space, strategy="random"))
    assert dry.status_code == 200, dry.text
    found = dry.json()
    students = found["space"]["/student"]["choices"]
    assert found["points"] == 2 * len(students)
    assert found["base"]["student"]["options"] == {}
    assert [each["architecture"] for each in found["student_budget"]["counted"]] == students


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"space": {"/student": {"choices": ["retort:resnet8"]}}}, "invalid_config", "/space/~1student"),
        (
            {"space": {"/student/options/width": {"choices": [1, 2]}}},
            "invalid_config",
            "/space/~1student~1options~1width",
        ),
        (
            {"space": {"/config/layers": {"student": {"budget": BUDGET}}}},
            "invalid_request",
            "/space/~1config~1layers/student",
        ),
    ],
)
def test_a_budget_and_other_students_contradict_each_other(
    client: TestClient, driver: Driver, counter: Counter, change: dict[str, Any], code: str, place: str
) -> None:
    assert place in pointers(problem(client.post("/studies", json=study(driver, **change)), 422, code))


def test_an_unreachable_budget_of_a_study_is_told_in_its_base(
    client: TestClient, driver: Driver, counter: Counter
) -> None:
    base = job(driver, {"bytes": 3000})
    document = problem(client.post("/studies", json=study(driver, base=base)), 422, "budget_unreachable")
    assert pointers(document) == {"/base/student/budget"}


def test_a_space_is_empty_only_beside_a_budget(client: TestClient, driver: Driver, counter: Counter) -> None:
    base = job(driver, BUDGET) | {"student": "retort:resnet8"}
    document = problem(client.post("/studies", json=study(driver, base=base)), 422, "invalid_request")
    assert pointers(document) == {"/space"}


@pytest.mark.parametrize(
    ("student", "places"),
    [
        ({"budget": {"bytes": 0}}, {"/student/budget/bytes"}),
        ({"budget": {"bytes": -5, "threads": 0}}, {"/student/budget/bytes", "/student/budget/threads"}),
        ({"budget": {}}, {"/student/budget"}),
        ({"budget": 60000}, {"/student/budget"}),
        ({"budget": BUDGET, "families": []}, {"/student/families"}),
        ({"budget": BUDGET, "name": OURS[0]}, {"/student/name"}),
        ({"families": ["retort:resnet"]}, {"/student/budget"}),
        ({"name": OURS[0], "width": 4}, {"/student/width"}),
        ({}, {"/student/name"}),
        (7, {"/student"}),
    ],
)
def test_errors_are_those_of_the_form_that_was_meant(
    client: TestClient, driver: Driver, student: Any, places: set[str]
) -> None:
    asked = job(driver, BUDGET) | {"student": student}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "invalid_request")) == places


def pruned(driver: Driver, **student: Any) -> dict[str, Any]:
    report = {
        "num_classes": 2, "in_channels": 1, "parameters": 75_290, "classes": ["a", "b"],
        "architecture": {"name": "retort:resnet8", "options": {"width": 16}},
    }  # fmt: skip
    teacher = driver.teacher(report=report)
    return {"teacher": teacher, "dataset": driver.dataset(report=REPORT), "student": student, "config": {"epochs": 2}}


def test_a_pruned_teacher_is_its_network_with_its_weights(client: TestClient, driver: Driver, counter: Counter) -> None:
    body = pruned(driver, prune={"ratio": 0.5, "importance": "bn_scale"})
    made = client.post("/jobs", json=body)
    assert made.status_code == 202, made.text
    shown = made.json()
    assert shown["student"] == {"name": "retort:resnet8", "options": {"width": 16, "prune_ratio": 0.5, "round_to": 4}}
    assert shown["student_weights"] == {"teacher": body["teacher"], "importance": "bn_scale"}
    made = client.post("/jobs", json=body | {"student": {"prune": {"blocks": 0.5}}}).json()
    assert made["student"] == {"name": "retort:resnet8", "options": {"width": 16, "prune_blocks": 0.5}}
    assert made["student_weights"] == {"teacher": body["teacher"]}


def test_a_budget_may_be_kept_by_pruning_the_teacher(client: TestClient, driver: Driver, counter: Counter) -> None:
    body = pruned(driver, budget={"parameters": 40_000}, families=["pruned"])
    made = client.post("/jobs", json=body, headers={"Prefer": "wait=60"})
    assert made.status_code == 202, made.text
    shown = made.json()
    assert shown["student"]["name"] == "retort:resnet8"
    assert 0 < shown["student"]["options"]["prune_ratio"] < 1
    assert shown["student_weights"] == {"teacher": body["teacher"]}
    rows = {canonical(row["architecture"]): row for row in shown["student_budget"]["table"]}
    assert 20_000 < rows[canonical(shown["student"])]["parameters"] <= 40_000


def test_a_pruned_teacher_is_not_pruned_once_more(client: TestClient, driver: Driver, counter: Counter) -> None:
    """Its widths are settled: a share of them is no share of the whole network."""
    body = pruned(driver, prune={"ratio": 0.5})
    cut = {"name": "retort:resnet8", "options": {"width": 16, "prune_ratio": 0.25, "pruned": {"stem.conv": [12]}}}
    report = {"num_classes": 2, "in_channels": 1, "parameters": 50_000, "classes": ["a", "b"], "architecture": cut}
    body["teacher"] = driver.teacher(report=report)
    assert pointers(problem(client.post("/jobs", json=body), 422, "invalid_config")) == {"/teacher"}
    body["student"] = {"budget": {"parameters": 40_000}, "families": ["pruned"]}
    assert pointers(problem(client.post("/jobs", json=body), 422, "invalid_config")) == {"/student/families"}


def test_pruned_teachers_are_choices_where_the_base_job_starts_as_they_do(
    client: TestClient, driver: Driver, counter: Counter
) -> None:
    base = pruned(driver, prune={"ratio": 0.5})
    asked = {"base": base, "strategy": "grid", "seeds": 1}
    asked["space"] = {"/student": {"choices": [{"prune": {"ratio": ratio}} for ratio in (0.25, 0.75)]}}
    made = client.post("/studies", json=asked)
    assert made.status_code == 202, made.text
    chosen = made.json()["space"]["/student"]["choices"]
    assert [each["options"] for each in chosen] == [
        {"width": 16, "prune_ratio": ratio, "round_to": 4} for ratio in (0.25, 0.75)
    ]
    elsewhere = client.post("/studies", json=asked | {"base": base | {"student": "retort:resnet8"}})
    assert pointers(problem(elsewhere, 422, "invalid_config")) == {f"/space/~1student/choices/{n}" for n in (0, 1)}
    asked["space"] = {"/student": {"choices": [{"prune": {"ratio": 2}}, {"prune": {"ratio": 0.5}}]}}
    assert pointers(client.post("/studies", json=asked).json()) == {"/space/~1student/choices/0/prune/ratio"}


@pytest.mark.parametrize(
    ("prune", "pointer"),
    [({"ratio": ratio}, "/student/prune/ratio") for ratio in (0, 1, -0.5)]
    + [
        ({}, "/student/prune"),
        ({"blocks": 1}, "/student/prune/blocks"),
        ({"ratio": 0.5, "importance": "luck"}, "/student/prune/importance"),
    ],
)
def test_ratios_that_leave_all_or_nothing_are_refused(
    client: TestClient, driver: Driver, prune: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/jobs", json=pruned(driver, prune=prune))
    assert pointers(answer.json()) == {pointer}


def test_pruning_wants_one_teacher_that_is_named(client: TestClient, driver: Driver, counter: Counter) -> None:
    body = pruned(driver, prune={"ratio": 0.5}) | {"config": {"recipe": "cross_entropy"}}
    del body["teacher"]
    answer = client.post("/jobs", json=body)
    assert pointers(answer.json()) == {"/student/prune/teacher"}
    assert problem(answer, 422, "teacher_required")
    answer = client.post("/jobs", json=body | {"student": {"budget": {"bytes": 40_000}, "families": ["pruned"]}})
    assert pointers(answer.json()) == {"/student/families/0"}
