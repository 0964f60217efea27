"""POST /studies and what follows from it, without a worker: steps are made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from store.database import Database
from store.repositories import jobs
from store.tables import Job, Tenant
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.studies.support import accuracy_of, all_trials, new_study, play, stepped

RATE = "/config/learning_rate"
SPACE: dict[str, Any] = {RATE: {"low": 1e-4, "high": 1, "log": True}}


def base(driver: Driver, **config: Any) -> dict[str, Any]:
    return {
        "dataset": driver.dataset(),
        "student": "retort:resnet8",
        "config": {"recipe": "cross_entropy", "epochs": 9} | config,
    }


def body(driver: Driver, **values: Any) -> dict[str, Any]:
    return {
        "base": base(driver),
        "space": SPACE,
        "seeds": 1,
        "budget": {"trials": 5, "parallel": 1},
        "confirm": 0,
    } | values


@pytest.fixture
def study(client: TestClient, driver: Driver) -> dict[str, Any]:
    """A study that has begun."""
    answer = client.post("/studies", json=body(driver, name="ours"))
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    found: dict[str, Any] = answer.json()
    return found


def test_a_study_runs_to_its_end_by_ordinary_jobs(
    client: TestClient, database: Database, study: dict[str, Any]
) -> None:
    assert (study["status"], study["phase"], study["task"]) == ("running", "searching", "classify_images")
    play(database, study["id"], accuracy_of)
    shown = client.get(study["links"]["self"]).json()
    assert (shown["status"], shown["counts"]["succeeded"], shown["counts"]["configurations"]) == ("succeeded", 5, 5)
    found = client.get(study["links"]["trials"]).json()["items"]
    assert [trial["number"] for trial in found] == [0, 1, 2, 3, 4]
    for trial in found:
        job = client.get(trial["links"]["job"]).json()
        assert (job["study"], job["links"]["study"]) == (study["id"], study["links"]["self"])
        assert job["config"]["learning_rate"] == trial["assignment"].get(RATE, "auto")
        assert trial["values"]["accuracy"] == pytest.approx(job["result"]["training"]["validation"])
    assert [trial["number"] for trial in found if trial["test"]] == sorted({0, shown["result"]["winner"]})
    assert client.get("/jobs").json()["items"][0]["study"] == study["id"]


def test_the_base_jobs_trial_is_the_job_that_it_describes(
    client: TestClient, driver: Driver, database: Database
) -> None:
    """Column by column, so that a field that jobs get one day is not forgotten by studies."""
    teacher = driver.teacher()
    given = {
        "teacher": [teacher, driver.teacher()], "dataset": driver.dataset(),
        "student": {"name": "resnet8", "options": {"width": 4}, "weights": {"checkpoint": driver.teacher(
            architecture={"name": "retort:resnet14", "options": {}})}},
        "config": {"preset": "crd", "recipe": "logit", "epochs": 2, "seed": 3}, "labels": {"a": "b"}, "priority": 5,
        "max_attempts": 2, "max_runtime_seconds": 60,
    }  # fmt: skip
    job = client.post("/jobs", json=given)
    assert job.status_code == 202, job.text
    study = client.post("/studies", json=body(driver, base=given, seeds=[3]))
    assert study.status_code == 202, study.text
    stepped(database, study.json()["id"])
    (trial,) = all_trials(database, study.json()["id"])
    with database.read() as session:
        ours, theirs = (session.get_one(Job, job_id) for job_id in (trial.job_id, job.json()["id"]))
        columns = {attribute.key for attribute in sa.inspect(Job).column_attrs}
        own = {"id", "name", "created_at", "request_id", "traceparent"}
        assert {name: getattr(ours, name) for name in columns - own} == {
            name: getattr(theirs, name) for name in columns - own
        }
    shown = [client.get(f"/jobs/{each.id}").json()["teachers"] for each in (ours, theirs)]
    assert shown[0] == shown[1] == given["teacher"]


# ---- what is refused, at once and by pointer

BAD: list[tuple[dict[str, Any], set[str], str | None]] = [
    ({"space": {}}, {"/space"}, "invalid_request"),
    ({"space": {"/config/learnin_rate": {"choices": [1]}}}, {"/space/~1config~1learnin_rate"}, "unknown_name"),
    ({"space": {"/dataset": {"choices": ["dst_1"]}}}, {"/space/~1dataset"}, "unknown_name"),
    ({"space": {"/config/seed": {"choices": [1, 2]}}}, {"/space/~1config~1seed"}, None),
    ({"space": {RATE: {}}}, {"/space/~1config~1learning_rate"}, None),
    ({"space": {RATE: {"low": 1, "high": 0.1}}}, {"/space/~1config~1learning_rate/high"}, None),
    ({"space": {RATE: {"low": 0, "high": 1, "log": True}}}, {"/space/~1config~1learning_rate/low"}, None),
    ({"space": {RATE: {"low": 0.1, "high": 1, "step": 0.4}}}, {"/space/~1config~1learning_rate/step"}, None),
    ({"space": {RATE: {"choices": [0.1, 0.1]}}}, {"/space/~1config~1learning_rate/choices/1"}, None),
    ({"space": {RATE: {"choices": [0.1], "low": 1}}}, {"/space/~1config~1learning_rate"}, None),
    ({"space": {RATE: {"choices": [0.1, -1]}}}, {"/space/~1config~1learning_rate/choices/1"}, "invalid_config"),
    ({"space": {"/config/epochs": {"low": 1, "high": 4}}}, {"/space/~1config~1epochs"}, "invalid_config"),  # fractions
    ({"space": {"/config/recipe": {"choices": ["logit"]}}}, {"/space/~1config~1recipe/choices/0"}, "teacher_required"),
    ({"space": {"/config/recipe_parameters/nothing": {"choices": [1]}}},
     {"/space/~1config~1recipe_parameters~1nothing/choices/0"}, "invalid_config"),
    ({"space": {"/student": {"choices": ["retort:resnet8", "timm:resnet43"]}}},
     {"/space/~1student/choices/1"}, "unknown_name"),
    ({"space": {"/teacher": {"choices": ["tch_none"]}}}, {"/space/~1teacher/choices/0"}, "unknown_teacher"),
    ({"space": {"/student": {"choices": ["retort:resnet8"]}, "/student/options/width": {"choices": [4]}}},
     {"/space/~1student~1options~1width"}, None),
    ({"space": {"/config": {"choices": [3]}}}, {"/space/~1config/choices/0"}, None),
    ({"space": SPACE | {"/config/layers": {"choices": [1], "when": {"/config/recipe": ["logit"]}}}},
     {"/space/~1config~1layers/when"}, "invalid_config"),
    ({"strategy": "grid"}, {"/space"}, "invalid_config"),  # endless
    ({"strategy": "anneal"}, {"/strategy"}, "unknown_name"),
    ({"strategy": {"name": "asha", "parameters": {"eta": 3}}}, {"/strategy/parameters/eta"}, "invalid_config"),
    ({"budget": {}}, {"/budget"}, "invalid_config"),
    ({"budget": {"trials": 3}, "seeds": 2}, {"/budget/trials"}, "invalid_config"),
    ({"seeds": [1, 1]}, {"/seeds"}, None),
    ({"objectives": [{"name": "bleu"}]}, {"/objectives/0/name"}, "unknown_name"),
    ({"objectives": [{"name": "macro_f1"}]}, {"/objectives/0/name"}, "invalid_config"),  # of the test set alone
    ({"objectives": [{"name": "bytes"}, {"name": "bytes"}]}, {"/objectives/1/name"}, None),
    ({"objectives": [{"name": "accuracy", "direction": "minimize"}]}, {"/objectives/0/direction"}, "invalid_config"),
    ({"objectives": [{"name": "bytes"}], "strategy": "asha"}, {"/objectives/0/name"}, "invalid_config"),
    ({"space": {RATE: {"low": 1e-3, "high": 1e308, "step": 1e-308}}}, {"/space/~1config~1learning_rate/step"}, None),
    ({"space": {RATE: {"low": -1e308, "high": 1e308, "step": 1}}}, {"/space/~1config~1learning_rate/high"}, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "where", "code"),
    [
        ({"config": {"recipe": "nothing"}}, "/base/config/recipe", "unknown_name"),
        ({"student": {"prune": {"ratio": 0.5}}}, "/base/student/prune/teacher", "teacher_required"),
    ],
)
def test_a_base_job_that_is_refused_hides_nothing_else(
    client: TestClient, driver: Driver, base: dict[str, Any], where: str, code: str
) -> None:
    good = body(driver)
    wrong = {"base": good["base"] | base, "objectives": [{"name": "bleu"}], "seeds": [1, 1], "strategy": "anneal"}
    document = problem(client.post("/studies", json=good | wrong), 422, None)
    assert pointers(document) == {where, "/objectives/0/name", "/seeds", "/strategy"}
    assert code in {document["code"], "unknown_name"}


@pytest.mark.parametrize(
    ("counts", "fits"), [([1, 1], False), ([2], False), ([1, 1, 1, 1], False), ([2, 1], True), ([3], True)]
)
def test_a_dataset_too_small_to_be_held_out_of_is_refused_before_the_queue(
    client: TestClient, driver: Driver, counts: list[int], fits: bool
) -> None:
    """A study's every trial would have failed. A sample to validate on and two to train on are left, or it is told."""
    dataset = driver.dataset(report={"classes": [f"c{n}" for n in range(len(counts))], "counts": {"train": counts}})
    good = body(driver)
    answer = client.post("/studies", json=good | {"base": good["base"] | {"dataset": dataset}})
    assert answer.status_code == (202 if fits else 422), answer.text
    if not fits:
        assert pointers(problem(answer, 422, "invalid_config")) == {"/base/dataset"}


def test_what_cannot_be_meant_is_refused_by_pointer(client: TestClient, driver: Driver) -> None:
    good = body(driver)
    for wrong, where, code in BAD:
        document = problem(client.post("/studies", json=good | wrong), 422, code)
        assert pointers(document) == where, (wrong, document)
    assert client.get("/studies").json()["items"] == []


def test_everything_wrong_is_told_at_once(client: TestClient, driver: Driver) -> None:
    wrong = {
        "base": base(driver, recipe="recipe_of_nobody", optimizer="none") | {"compare_with": "job_1"},
        "space": {RATE: {"low": 1, "high": 0}, "/config/nothing": {"choices": [1]}},
        "strategy": "anneal",
    }
    found = pointers(problem(client.post("/studies", json=body(driver) | wrong), 422))
    assert found == {
        "/base/config/recipe", "/base/config/optimizer", "/base/compare_with", "/strategy",
        "/space/~1config~1learning_rate/high", "/space/~1config~1nothing",
    }  # fmt: skip


def test_values_are_looked_at_beside_a_base_job_that_is_refused(client: TestClient, driver: Driver) -> None:
    wrong = {
        "base": base(driver) | {"teacher": "tch_none"},
        "space": {RATE: {"choices": [0.1, "much"]}, "/config/recipe": {"choices": ["logit", "recipe_of_nobody"]}},
        "budget": {"trials": 1},
    }
    found = pointers(problem(client.post("/studies", json=body(driver) | wrong), 422))
    assert found == {
        "/base/teacher", "/space/~1config~1learning_rate/choices/1", "/space/~1config~1recipe/choices/1",
        "/budget/trials",
    }  # fmt: skip


def test_a_space_of_more_points_than_a_float_counts_is_taken(client: TestClient, driver: Driver) -> None:
    tiny = {"low": 1e-9, "high": 1e-3, "step": 1e-290}
    wanted = body(driver, space={RATE: tiny, "/config/weight_decay": tiny, "/config/label_smoothing": tiny})
    answer = client.post("/studies?dry_run=true", json=wanted, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["points"]) == (200, None), answer.text


def test_a_message_names_the_setting_and_no_branch_of_a_type(client: TestClient, driver: Driver) -> None:
    wanted = body(driver, space={RATE: {"choices": [-1]}})
    (error,) = problem(client.post("/studies", json=wanted), 422)["errors"]
    assert error["message"].endswith("(/config/learning_rate).")


def test_points_that_contradict_each_other_are_refused(client: TestClient, driver: Driver) -> None:
    """Each of the two places alone would do."""
    space = {
        "/config/mixup": {"choices": [0, 0.2]},
        "/config/class_weights": {"choices": ["none", "balanced"]},
        "/config/schedule": {"choices": ["one_cycle", "multi_step"]},
        "/config/milestones": {"choices": ["auto", [3]]},
    }
    document = problem(client.post("/studies", json=body(driver, space=space)), 422)
    assert document["errors"]
    assert all(pointer.startswith("/space/") for pointer in pointers(document))


def test_a_dry_run_says_what_it_would_take_and_makes_nothing(client: TestClient, driver: Driver) -> None:
    space = {RATE: {"choices": [0.1, 0.01]}, "/config/batch_size": {"choices": [32, 64, 128]}}
    wanted = body(driver, space=space, strategy="grid", seeds=2, budget={}, confirm=3)
    shown = client.post("/studies?dry_run=true", json=wanted, headers={"Prefer": "wait=0"}).json()
    assert (shown["points"], shown["trials"]) == (6, (6 + 1) * 2 + 2 * 3)
    assert shown["base"]["valid"]
    assert client.get("/studies").json()["items"] == []


# ---- requests


def test_the_same_key_makes_one_study(client: TestClient, driver: Driver) -> None:
    wanted, headers = body(driver), {"Idempotency-Key": "k"}
    first = client.post("/studies", json=wanted, headers=headers)
    again = client.post("/studies", json=wanted, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/studies", json=wanted | {"name": "other"}, headers=headers)
    problem(other, 422, "idempotency_key_reused")
    assert len(client.get("/studies").json()["items"]) == 1


def test_a_study_is_paused_resumed_and_cancelled_with_its_trials(
    client: TestClient, database: Database, study: dict[str, Any]
) -> None:
    path = study["links"]["self"]
    stepped(database, study["id"])
    (trial,) = all_trials(database, study["id"])
    assert client.post(f"{path}/pause").json()["status"] == "paused"
    assert client.get(f"/jobs/{trial.job_id}").json()["status"] == "paused"
    assert client.post(f"{path}/pause").status_code == 202  # again is no error
    assert stepped(database, study["id"]).jobs == []
    assert client.post(f"{path}/resume").json()["status"] == "running"
    assert client.get(f"/jobs/{trial.job_id}").json()["status"] == "queued"
    problem(client.post(f"{path}/resume"), 409, "illegal_transition")
    problem(client.delete(path), 409, "study_active")
    assert client.post(f"{path}/cancel").json()["status"] == "cancelling"
    assert client.get(f"/jobs/{trial.job_id}").json()["status"] == "cancelled"
    stepped(database, study["id"])
    shown = client.get(path).json()
    assert (shown["status"], shown["counts"]["cancelled"]) == ("cancelled", 1)
    problem(client.post(f"{path}/extend", json={"trials": 1}), 409, "illegal_transition")
    assert client.delete(path).status_code == 204
    problem(client.get(path), 404, "not_found")
    assert client.get(f"/jobs/{trial.job_id}").json()["study"] is None  # the job stays


def test_a_study_is_deleted_once_its_trials_have_ended(
    client: TestClient, driver: Driver, database: Database, study: dict[str, Any]
) -> None:
    stepped(database, study["id"])
    (trial,) = all_trials(database, study["id"])
    driver.claim(trial.job_id or "")
    path = study["links"]["self"]
    left = client.delete(f"{path}?cancel=true")
    assert (left.status_code, left.json()["status"]) == (202, "cancelling")
    with database.write() as session:
        jobs.delete(session, trial.job_id or "")
    stepped(database, study["id"])
    assert client.delete(path).status_code == 204


def test_a_study_that_has_ended_goes_on_with_more(
    client: TestClient, database: Database, study: dict[str, Any]
) -> None:
    path = study["links"]["self"]
    play(database, study["id"], accuracy_of)
    shown = client.post(f"{path}/extend", json={"trials": 2, "parallel": 3}).json()
    assert (shown["status"], shown["budget"]) == ("running", {"trials": 7, "minutes": None, "parallel": 3})
    assert shown["result"] is None
    play(database, study["id"], accuracy_of)
    assert client.get(path).json()["counts"]["succeeded"] == 7


def test_a_space_that_is_used_up_cannot_be_extended(client: TestClient, driver: Driver, database: Database) -> None:
    wanted = body(driver, space={RATE: {"choices": [0.1]}}, strategy="grid", budget={})
    study = client.post("/studies", json=wanted).json()
    play(database, study["id"], accuracy_of)
    answer = client.post(f"{study['links']['self']}/extend", json={"trials": 2})
    problem(answer, 409, "space_exhausted")
    assert "extend" not in client.get(study["links"]["self"]).json()["links"]


@pytest.mark.parametrize("more", [{}, {"trials": None}, {"minutes": 5}, {"parallel": 3}, {"minutes": 5, "parallel": 3}])
def test_a_study_that_has_ended_is_not_begun_again_by_nothing(
    client: TestClient, database: Database, study: dict[str, Any], more: dict[str, Any]
) -> None:
    """Else its confirmation could be repeated until it says what one would like to hear."""
    path = study["links"]["self"]
    play(database, study["id"], accuracy_of)
    before = client.get(path).json()
    problem(client.post(f"{path}/extend", json=more), 422, "invalid_request")
    assert client.get(path).json() == before


def test_seeds_that_are_owed_are_more_of_a_space_whose_points_were_all_tried(
    client: TestClient, driver: Driver, database: Database
) -> None:
    space = {RATE: {"choices": [0.01, 0.1, 0.3]}}
    wanted = body(driver, space=space, strategy="asha", seeds=2, budget={"trials": 6, "parallel": 6})
    study = client.post("/studies", json=wanted).json()
    play(database, study["id"], accuracy_of)
    answer = client.post(f"{study['links']['self']}/extend", json={"trials": 20})
    assert answer.status_code == 202, answer.text
    play(database, study["id"], accuracy_of)
    shown = client.get(study["links"]["self"]).json()
    assert (shown["counts"]["succeeded"], shown["exhausted"]) == (8, True)  # two seeds of four configurations


def test_what_a_study_needs_is_not_deleted(client: TestClient, driver: Driver, database: Database) -> None:
    first, second = driver.teacher(), driver.teacher()
    given = body(driver, space={"/teacher": {"choices": [first, second]}}, strategy="grid", budget={})
    given["base"] |= {"teacher": first, "config": {"recipe": "logit", "epochs": 2}}
    study = client.post("/studies", json=given)
    assert study.status_code == 202, study.text
    document = problem(client.delete(f"/teachers/{second}"), 409, "in_use")
    assert document["details"] == {"studies": [study.json()["id"]]}


def test_tags_stay_good_while_trials_run_and_not_behind_a_change(
    client: TestClient, database: Database, study: dict[str, Any]
) -> None:
    path = study["links"]["self"]
    first = client.get(path)
    seen = {"If-Match": first.headers["etag"]}
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    stepped(database, study["id"])
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    assert client.patch(path, json={"labels": {"a": "b"}}, headers=seen).json()["labels"] == {"a": "b"}
    for request in (client.post, client.delete):
        action = f"{path}/cancel" if request == client.post else path
        problem(request(action, headers=seen), 412, "precondition_failed")
    problem(client.patch(path, json={}, headers=seen), 412, "precondition_failed")


def test_studies_come_in_pages_newest_first(client: TestClient, driver: Driver) -> None:
    made = [client.post("/studies", json=body(driver)).json()["id"] for _ in range(3)]
    page = client.get("/studies?limit=2").json()
    rest = client.get(f"/studies?limit=2&cursor={page['next_cursor']}").json()
    assert [each["id"] for each in page["items"] + rest["items"]] == made[::-1]
    assert client.get("/studies?status=paused").json()["items"] == []


def test_another_tenants_study_is_as_unknown_as_none(client: TestClient, database: Database) -> None:
    with database.write() as session:
        session.add(Tenant(id="tnt_other", name="other"))
    theirs = new_study(database, tenant_id="tnt_other")
    for name in ("", "/trials", "/table", "/pareto", "/importance", "/events"):
        problem(client.get(f"/studies/{theirs}{name}"), 404, "not_found")
    for action in ("cancel", "pause", "resume"):
        problem(client.post(f"/studies/{theirs}/{action}"), 404, "not_found")
    problem(client.delete(f"/studies/{theirs}"), 404, "not_found")
    assert client.get("/studies").json()["items"] == []


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"space": {RATE: {"low": NAN, "high": 1}}}, {"/space/~1config~1learning_rate/low"}),
        ({"space": {RATE: {"choices": [0.1, INF]}}}, {"/space/~1config~1learning_rate/choices/1"}),
        ({"space": {"/config": {"choices": [{"learning_rate": INF}]}}}, {"/space/~1config/choices/0/learning_rate"}),
        ({"seeds": True}, {"/seeds"}),
        ({"seeds": [0, True]}, {"/seeds"}),
        ({"confirm": True}, {"/confirm"}),
        ({"budget": {"trials": True}}, {"/budget/trials"}),
        ({"objectives": [{"name": "accuracy", "limit": True}]}, {"/objectives/0/limit"}),
        ({"objectives": [{"name": "accuracy"}, {"name": "bytes", "limit": -1}]}, {"/objectives/1/limit"}),
        ({"objectives": [{"name": "accuracy"}, {"name": "latency_ms", "limit": 0}]}, {"/objectives/1/limit"}),
        ({"objectives": [{"name": "accuracy", "limit": 1.5}]}, {"/objectives/0/limit"}),
    ],
)
def test_numbers_that_are_none_are_told_at_their_place(
    client: TestClient, driver: Driver, change: dict[str, Any], places: set[str]
) -> None:
    content, headers = json.dumps(body(driver, **change)), {"content-type": "application/json"}
    answer = client.post("/studies", content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    assert {each["pointer"] for each in answer.json()["errors"]} == places


def test_a_study_that_is_extended_has_no_test_figures_until_it_ends_again(
    client: TestClient, database: Database, study: dict[str, Any]
) -> None:
    def tested() -> list[int]:
        return [trial["number"] for trial in client.get(study["links"]["trials"]).json()["items"] if trial["test"]]

    play(database, study["id"], accuracy_of)
    assert len(tested()) == 2
    assert client.post(f"{study['links']['self']}/extend", json={"trials": 3}).status_code == 202
    assert tested() == []
    # The later, the better: another configuration wins than before.
    play(database, study["id"], lambda trial: 0.95 + 0.001 * trial.number)
    winner = client.get(study["links"]["self"]).json()["result"]["winner"]
    assert tested() == [0, winner]
