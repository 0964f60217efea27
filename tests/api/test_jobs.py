"""POST /jobs and the actions on a job."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from store.repositories import jobs
from store.states import STATUSES, TERMINAL
from store.tables import Job
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

SYSTEM_FAULT = {"code": "oom_host", "message": "m", "remedy": "", "fault": "system", "retryable": True, "details": {}}
USER_FAULT = SYSTEM_FAULT | {"code": "diverged", "fault": "user", "retryable": False}


def body(driver: Driver, **values: Any) -> dict[str, Any]:
    defaults = {"teacher": driver.teacher(), "dataset": driver.dataset(), "student": "retort:resnet8"}
    return {name: value for name, value in (defaults | values).items() if value is not ...}


def in_status(database: Database, job_id: str, status: str, **values: Any) -> None:
    with database.write() as session:
        job = session.get_one(Job, job_id)
        job.status = status
        for name, value in values.items():
            setattr(job, name, value)


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"teacher": []}, "/teacher"),
        ({"config": {"class_weights": {"0": 0}}}, "/config/class_weights/0"),
        ({"config": {"teacher_weights": [1, -1]}}, "/config/teacher_weights/1"),
        ({"config": {"drop_path": 1}}, "/config/drop_path"),
        ({"student": {"options": {}}}, "/student/name"),
    ],
)
def test_of_a_union_only_the_branches_of_the_values_type_are_told(
    sent: dict[str, Any], place: str, client: TestClient, driver: Driver
) -> None:
    told = problem(client.post("/jobs", json=body(driver, **sent)), 422, "invalid_request")
    assert f"({place})" in told["detail"]
    assert not {"", place.rpartition("/")[0]} & pointers(told)
    assert sum(entry["pointer"] == place for entry in told["errors"]) == 1


@pytest.mark.parametrize(("sent", "named"), [({"feature_loss": "mse"}, True), ({"layers": 0}, False)])
def test_a_recipes_setting_a_level_too_high_is_told_its_place(
    sent: dict[str, Any], named: bool, client: TestClient, driver: Driver
) -> None:
    told = problem(client.post("/jobs", json=body(driver, config=sent)), 422, "invalid_request")
    assert pointers(told) == {f"/config/{name}" for name in sent}
    assert ("recipe_parameters" in told["remedy"]) is named


def test_a_job_is_queued_and_the_doorbell_rung_after_commit(
    client: TestClient, driver: Driver, doorbell: InProcessDoorbell
) -> None:
    before = doorbell.rings
    answer = client.post("/jobs", json=body(driver, name="n", labels={"a": "b"}, config={"epochs": 3}, priority=5))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert (job["status"], job["queue_position"], job["priority"], job["name"]) == ("queued", 0, 5, "n")
    assert (job["recipe"], job["config"]["epochs"], job["config"]["batch_size"]) == ("feature_only", 3, 128)
    assert job["student"] == {"name": "retort:resnet8", "options": {}}
    assert {"cancel", "q_curve"} <= set(job["links"])
    assert not {"retry", "stop", "student"} & set(job["links"])
    assert doorbell.rings == before + 1
    shown = client.get(answer.headers["location"])
    assert shown.json() == job
    assert client.get("/jobs").json() == {"items": [job], "next_cursor": None}


def test_a_student_may_have_options_and_a_bare_name(client: TestClient, driver: Driver) -> None:
    student = {"name": "resnet8", "options": {"width": 8}}
    answer = client.post("/jobs", json=body(driver, student=student))
    assert answer.json()["student"] == {"name": "retort:resnet8", "options": {"width": 8}}


@pytest.mark.usefixtures("inspector")
def test_a_named_dataset_is_registered_on_the_way_and_once(client: TestClient, driver: Driver) -> None:
    request = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}}
    first, second = client.post("/jobs", json=request), client.post("/jobs", json=request)
    assert (first.status_code, second.status_code) == (202, 202), first.text
    assert first.json()["dataset"] == second.json()["dataset"]
    assert len(client.get("/datasets").json()["items"]) == 1
    unknown = problem(client.post("/jobs", json=request | {"dataset": {"named": "digit"}}), 422, "unknown_name")
    assert pointers(unknown) == {"/dataset/named"}


def test_a_named_dataset_nobody_has_inspected_yet_is_a_409(client: TestClient, driver: Driver) -> None:
    request = {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}}
    problem(client.post("/jobs", json=request, headers={"Prefer": "wait=0"}), 409, "dataset_not_ready")


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"student": "retort:resnet9"}, "/student", "unknown_name"),
        ({"student": {"name": "timm:none"}}, "/student/name", "unknown_name"),
        ({"teacher": "tch_none"}, "/teacher", "unknown_teacher"),
        ({"dataset": "dst_none"}, "/dataset", "unknown_dataset"),
        ({"teacher": None}, "/teacher", "teacher_required"),
        ({"config": {"recipe": "feature_onyl"}}, "/config/recipe", "unknown_name"),
        ({"config": {"recipe_parameters": {"feature_loss": "msee"}}}, "/config/recipe_parameters", "unknown_name"),
        ({"config": {"recipe_parameters": {"grid": 0}}}, "/config/recipe_parameters/grid", "invalid_config"),
        ({"config": {"recipe_parameters": {"gird": 1}}}, "/config/recipe_parameters/gird", "invalid_config"),
        ({"config": {"selection": "best"}}, "/config/selection", "unknown_name"),
        ({"config": {"layers": 3, "teacher_layers": ["a", "b"]}}, "/config/teacher_layers", "invalid_config"),
        ({"config": {"teacher_layers": ["a", "a"]}}, "/config/teacher_layers", "invalid_request"),
        ({"config": {"student_layers": []}}, "/config/student_layers", "invalid_request"),
        (
            {"config": {"teacher_layers": ["a"], "student_layers": ["a", "b"]}},
            "/config/student_layers",
            "invalid_config",
        ),
        ({"compare_with": "job_none"}, "/compare_with", "unknown_job"),
        ({"config": {"layers": 0}}, "/config/layers", None),
        ({"config": {"learning_rate": "fast"}}, "/config/learning_rate", None),
        ({"config": {"unknown": 1}}, "/config/unknown", None),
        ({"student": ...}, "/student", None),
        ({"student": 3}, "/student", None),
        ({"labels": {"a": 1}}, "/labels/a", None),
        ({"priority": 10**9}, "/priority", None),
        ({"surprise": 1}, "/surprise", None),
    ],
)
def test_what_is_wrong_is_pointed_at(
    client: TestClient, driver: Driver, change: dict[str, Any], pointer: str, code: str | None
) -> None:
    document = problem(client.post("/jobs", json=body(driver, **change)), 422, code)
    assert pointers(document) == {pointer}
    assert client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        ({"teacher_layers": ["a", "b"]}, 2),
        ({"student_layers": ["a"]}, 1),
        ({"teacher_layers": ["a"], "student_layers": ["b"]}, 1),
        ({}, "auto"),
    ],
)
def test_layers_that_are_named_are_counted(
    client: TestClient, driver: Driver, config: dict[str, list[str]], layers: int | str
) -> None:
    """The run refuses another number: a request that leaves it out means the layers that it names, and where it names
    none, what the run finds."""
    answer = client.post("/jobs", json=body(driver, config={"recipe": "feature_only"} | config))
    assert answer.json()["config"]["layers"] == layers


def test_all_that_is_wrong_is_named_at_once(client: TestClient, driver: Driver) -> None:
    wrong = body(driver, student="x", dataset="y", config={"recipe": "z"})
    document = problem(client.post("/jobs", json=wrong), 422)
    assert pointers(document) == {"/student", "/dataset", "/config/recipe"}
    assert document["detail"].endswith("And 2 more.")


@pytest.mark.parametrize("raw", [b'{"priority": NaN}', b'{"name": "\\u0000"}', b'{"name": "\\ud800"}', b"[]", b"3"])
def test_json_that_cannot_be_stored_is_a_422(client: TestClient, raw: bytes) -> None:
    problem(client.post("/jobs", content=raw, headers={"Content-Type": "application/json"}), 422)


def test_teacher_and_dataset_must_be_ready_and_agree(client: TestClient, driver: Driver) -> None:
    waiting = body(driver, teacher=driver.teacher(status="inspecting"), dataset=driver.dataset(status="inspecting"))
    assert pointers(problem(client.post("/jobs", json=waiting), 422)) == {"/teacher", "/dataset"}
    teacher = driver.teacher(report={"num_classes": 1000})
    differing = body(driver, teacher=teacher, config={"recipe": "logit"})
    document = problem(client.post("/jobs", json=differing), 422, "classes_differ")
    assert document["details"] == {"teacher_classes": 1000, "dataset_classes": 10}
    named = body(driver, dataset=driver.dataset(report={"classes": [str(label) for label in range(10)]}))
    assert client.post("/jobs", json=named).status_code == 202


@pytest.mark.parametrize(
    ("report", "config", "pointer"),
    [
        ({"num_classes": 1000}, {"recipe": "feature_only"}, None),
        ({"num_classes": 0}, {"recipe": "similarity_preserving"}, None),
        ({"num_classes": 0}, {"recipe": "cross_entropy"}, None),
        ({"num_classes": 1000}, {"recipe": "feature_logit"}, "/teacher"),
        ({"num_classes": 1000}, {"recipe": "feature_logit", "recipe_parameters": {"kl": False}}, None),
        ({"num_classes": 1000}, {"recipe": "feature_only", "teacher_classes": "same"}, "/config/teacher_classes"),
        ({"num_classes": 2, "metadata": {"classes": '["cat", "dog"]'}}, {"recipe": "logit"}, "/teacher"),
        ({"num_classes": 2, "metadata": {"classes": '["cat", "dog"]'}}, {"recipe": "feature_only"}, None),
        (
            {"num_classes": 2, "metadata": {"classes": '["cat", "dog"]'}},
            {"recipe": "logit", "teacher_classes": "same"},
            None,
        ),
        ({"num_classes": 2, "metadata": {"classes": '["LABEL_0", "LABEL_1"]'}}, {"recipe": "logit"}, None),
        ({"num_classes": 2}, {"recipe": "logit"}, None),
        ({"num_classes": 2}, {"recipe": "logit", "teacher_classes": "other"}, "/teacher"),
    ],
)
def test_a_recipe_that_reads_logits_wants_a_teacher_of_the_datasets_classes(
    client: TestClient, driver: Driver, report: dict[str, Any], config: dict[str, Any], pointer: str | None
) -> None:
    dataset = driver.dataset(report={"classes": ["hond", "kat"], "counts": {"train": [9, 9], "test": [3, 3]}})
    request = body(driver, teacher=driver.teacher(report=report), dataset=dataset, config=config)
    answer = client.post("/jobs?dry_run=true", json=request)
    if pointer is None:
        assert answer.status_code == 200, answer.text
        return
    document = problem(answer, 422, "classes_differ")
    assert pointers(document) == {pointer}
    assert "features alone" in document["remedy"]


@pytest.mark.parametrize("path", ["/jobs", "/jobs?dry_run=true"])
def test_a_budget_that_no_curve_fits_in_is_refused_before_the_queue(
    client: TestClient, driver: Driver, path: str
) -> None:
    report = {"classes": ["a", "b"], "counts": {"train": [3000, 3000], "test": [3, 3]}}
    made = body(driver, teacher=driver.teacher(report={"num_classes": 2}), dataset=driver.dataset(report=report))

    def ask(**config: Any) -> Any:
        return client.post(path, json=made | {"config": {"recipe": "feature_only"} | config})

    document = problem(ask(quality_memory_bytes=2**26), 422, "invalid_config")
    assert pointers(document) == {"/config/quality_memory_bytes"}
    needed = document["details"]["needed_bytes"]
    assert ask(quality_memory_bytes=needed).status_code in (200, 202)
    assert ask(quality_memory_bytes=2**26, quality_samples=500).status_code in (200, 202)
    assert ask(quality_memory_bytes=2**26, recipe="logit").status_code in (200, 202)


def test_a_comparison_must_have_succeeded_on_the_same_data(client: TestClient, driver: Driver) -> None:
    dataset = driver.dataset(kind="archive", digest="a" * 64)
    other = driver.job(dataset_id=dataset, recipe="cross_entropy")
    request = body(driver, dataset=dataset, compare_with=other)
    problem(client.post("/jobs", json=request), 422, "job_not_succeeded")
    driver.succeed(other)
    assert client.post("/jobs", json=request).json()["compare_with"] == other
    again = request | {"dataset": driver.dataset(kind="archive", digest="a" * 64)}
    assert client.post("/jobs", json=again).status_code == 202
    elsewhere = request | {"dataset": driver.dataset(kind="archive", digest="b" * 64)}
    problem(client.post("/jobs", json=elsewhere), 422, "datasets_differ")


def test_a_dry_run_checks_and_queues_nothing(client: TestClient, driver: Driver, doorbell: InProcessDoorbell) -> None:
    before = doorbell.rings
    answer = client.post("/jobs?dry_run=true", json=body(driver))
    assert (answer.status_code, answer.json()["valid"], answer.json()["input_bytes"]) == (200, True, 10)
    problem(client.post("/jobs?dry_run=true", json=body(driver, student="x")), 422)
    assert (client.get("/jobs").json()["items"], doorbell.rings) == ([], before)


def test_one_key_makes_one_job_however_many_send_it(client: TestClient, driver: Driver) -> None:
    request, headers = body(driver), {"Idempotency-Key": "same"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.post("/jobs", json=request, headers=headers), range(20)))
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in accepted) == 1
    for answer in answers:
        if answer not in accepted:
            document = problem(answer, 409, "idempotency_key_in_flight")
            assert (document["retryable"], answer.headers["retry-after"]) == (True, "1")
    again = client.post("/jobs", json=request, headers=headers)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (accepted[0].json()["id"], "true")
    assert len(client.get("/jobs").json()["items"]) == 1
    problem(client.post("/jobs", json=request | {"name": "x"}, headers=headers), 422, "idempotency_key_reused")


def test_a_refused_request_does_not_use_its_key_up(client: TestClient, driver: Driver) -> None:
    headers = {"Idempotency-Key": "k"}
    problem(client.post("/jobs", json=body(driver, student="x"), headers=headers), 422)
    accepted = client.post("/jobs", json=body(driver), headers=headers)
    assert accepted.status_code == 202, accepted.text


def test_a_key_can_be_used_again_when_its_job_is_deleted(client: TestClient, driver: Driver) -> None:
    request, headers = body(driver), {"Idempotency-Key": "k"}
    first = client.post("/jobs", json=request, headers=headers).json()["id"]
    client.delete(f"/jobs/{first}?cancel=true")
    assert client.post("/jobs", json=request, headers=headers).json()["id"] != first


def test_jobs_are_listed_by_status_recipe_and_label(client: TestClient, driver: Driver) -> None:
    dataset = driver.dataset()
    done = driver.job(dataset_id=dataset, labels={"team": "a", "x.y": "1"})
    driver.succeed(done)
    waits = driver.job(dataset_id=dataset, labels={"team": "b"}, recipe="cross_entropy")

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/jobs?{query}").json()["items"]]

    assert listed("") == [waits, done]
    assert listed("status=succeeded") == [done]
    assert listed("status=succeeded&status=queued") == [waits, done]
    assert listed("recipe=cross_entropy") == [waits]
    assert listed("label=team:a") == [done]
    assert listed("label=team:a&label=x.y:1") == [done]
    assert listed("label=team:a&label=team:b") == [waits]
    assert listed("label=none:a") == []
    assert pointers(problem(client.get("/jobs?label=team"), 422)) == {"/label"}
    assert pointers(problem(client.get("/jobs?status=asleep"), 422)) == {"/status/0"}


def test_jobs_are_searched_by_words_all_of_which_they_hold(client: TestClient, driver: Driver) -> None:
    dataset = driver.dataset()
    first = driver.job(dataset_id=dataset, name="Flowers, 100% of them")
    other = driver.job(dataset_id=dataset, name="birds_b", recipe="cross_entropy", status="failed")

    def found(search: str) -> list[str]:
        return [job["id"] for job in client.get("/jobs", params={"search": search}).json()["items"]]

    assert found("flow") == found("FLOWERS them") == found("100%") == found(f" {first.lower()} ") == [first]
    assert found("cross entropy") == found("failed s_b") == found("birds resnet8") == [other]
    assert found("retort:resnet8") == found("  ") == [other, first]
    assert found("flowers birds") == found("10%0") == found("fl_wers") == found("\\") == []
    listed = client.get("/jobs", params={"search": "resnet8", "status": "queued", "limit": 1}).json()
    assert [job["id"] for job in listed["items"]] == [first]
    assert pointers(problem(client.get("/jobs", params={"search": "a" * 101}), 422)) == {"/search"}


def test_pages_of_jobs_are_stable_under_inserts(client: TestClient, driver: Driver) -> None:
    dataset = driver.dataset()
    made = [driver.job(dataset_id=dataset) for _ in range(7)]
    listed: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/jobs?limit=3{cursor}").json()
        listed += [job["id"] for job in page["items"]]
        driver.job(dataset_id=dataset)
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert listed == made[::-1]


def test_etag_answers_304_until_something_changes(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    first = client.get(f"/jobs/{job_id}")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    same = client.get(f"/jobs/{job_id}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    lease = driver.claim(job_id)
    changed = client.get(f"/jobs/{job_id}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "running")
    driver.score(lease)
    assert client.get(f"/jobs/{job_id}").headers["etag"] != changed.headers["etag"]


def test_prefer_wait_answers_when_the_job_changes(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    tag = client.get(f"/jobs/{job_id}").headers["etag"]

    def later() -> None:
        time.sleep(0.3)
        driver.claim(job_id)

    thread = threading.Thread(target=later)
    thread.start()
    answer = client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=20", "If-None-Match": tag})
    thread.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    assert answer.headers["preference-applied"] == "wait=20"
    tag = answer.headers["etag"]
    still = client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=1", "If-None-Match": tag})
    assert still.status_code == 304


def test_prefer_wait_does_not_wait_for_what_has_ended(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    assert client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=290"}).json()["status"] == "succeeded"


def allowed(client: TestClient, job_id: str, action: str) -> tuple[int, bool]:
    """Status of the action's answer, and whether the job's links had offered it."""
    offered = action in client.get(f"/jobs/{job_id}").json()["links"]
    return client.post(f"/jobs/{job_id}/{action}").status_code, offered


REPEATED = {"cancel": ("cancelling", "cancelled"), "stop": ("stopping",), "pause": ("pausing", "paused")}


@pytest.mark.parametrize("status", STATUSES)
def test_links_offer_the_actions_that_work(client: TestClient, driver: Driver, database: Database, status: str) -> None:
    for action in ("cancel", "stop", "retry", "pause", "resume"):
        job_id = driver.job()
        in_status(database, job_id, status, error=SYSTEM_FAULT if status == "failed" else None)
        code, offered = allowed(client, job_id, action)
        repeated = status in REPEATED.get(action, ())
        assert code == (202 if offered or repeated else 409), (action, status)


def test_cancel_is_at_once_for_a_queued_job_and_a_request_for_a_running_one(
    client: TestClient, driver: Driver, doorbell: InProcessDoorbell
) -> None:
    queued, running = driver.job(), driver.job()
    driver.claim(running)
    assert client.post(f"/jobs/{queued}/cancel").json()["status"] == "cancelled"
    before = doorbell.rings
    assert client.post(f"/jobs/{running}/cancel").json()["status"] == "cancelling"
    assert doorbell.rings == before + 1


def test_stop_needs_a_running_job(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    problem(client.post(f"/jobs/{job_id}/stop"), 409, "illegal_transition")
    driver.claim(job_id)
    assert client.post(f"/jobs/{job_id}/stop").json()["status"] == "stopping"
    assert client.post(f"/jobs/{job_id}/stop").status_code == 202


def test_retry_gives_new_attempts_after_a_system_fault_only(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    driver.finish(driver.claim(job_id), "failed", SYSTEM_FAULT)
    assert client.get(f"/jobs/{job_id}").json()["error"]["code"] == "oom_host"
    job = client.post(f"/jobs/{job_id}/retry").json()
    assert (job["status"], job["error"], job["finished_at"], job["max_attempts"]) == ("queued", None, None, 3)
    driver.finish(driver.claim(job_id), "failed", USER_FAULT)
    problem(client.post(f"/jobs/{job_id}/retry"), 409, "not_retryable")


def test_a_users_fault_that_can_be_undone_is_retried(client: TestClient, driver: Driver) -> None:
    """As a shard that was put back."""
    job_id = driver.job()
    driver.finish(driver.claim(job_id), "failed", USER_FAULT | {"retryable": True})
    assert "retry" in client.get(f"/jobs/{job_id}").json()["links"]
    assert client.post(f"/jobs/{job_id}/retry").json()["status"] == "queued"


def test_pause_and_resume(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    assert client.post(f"/jobs/{job_id}/pause").json()["status"] == "paused"
    assert client.post(f"/jobs/{job_id}/resume").json()["status"] == "queued"
    lease = driver.claim(job_id)
    assert client.post(f"/jobs/{job_id}/pause").json()["status"] == "pausing"
    problem(client.post(f"/jobs/{job_id}/resume"), 409, "illegal_transition")
    driver.finish(lease, "paused")
    assert client.post(f"/jobs/{job_id}/resume").json()["status"] == "queued"


def test_an_ended_job_is_deleted_with_all_it_made(
    client: TestClient, driver: Driver, objects: FolderStore, database: Database
) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    assert len(list(objects.keys(f"jobs/{job_id}/"))) == 4
    assert client.delete(f"/jobs/{job_id}").status_code == 204
    assert list(objects.keys("jobs/")) == []
    problem(client.get(f"/jobs/{job_id}"), 404)
    with database.read() as session:
        assert jobs.artifacts(session, job_id) == []
        assert jobs.curve_points(session, job_id) == []


def test_an_active_job_is_not_deleted_unless_cancelled_first(client: TestClient, driver: Driver) -> None:
    queued, running = driver.job(), driver.job()
    problem(client.delete(f"/jobs/{queued}"), 409, "job_active")
    assert client.delete(f"/jobs/{queued}?cancel=true").status_code == 204
    lease = driver.claim(running)
    answer = client.delete(f"/jobs/{running}?cancel=true")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    driver.finish(lease, "cancelled")
    assert client.delete(f"/jobs/{running}").status_code == 204


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_comparison_survives_its_other_job(
    client: TestClient, driver: Driver, database: Database, status: str
) -> None:
    other = driver.job()
    job_id = driver.job(compare_with=other)
    in_status(database, other, status)
    assert client.delete(f"/jobs/{other}").status_code == 204
    assert client.get(f"/jobs/{job_id}").json()["compare_with"] is None


def test_queue_position_follows_priority_then_age(client: TestClient, driver: Driver) -> None:
    first, second, urgent = driver.job(), driver.job(), driver.job(priority=1)
    positions = [client.get(f"/jobs/{job_id}").json()["queue_position"] for job_id in (first, second, urgent)]
    assert positions == [1, 2, 0]


def test_a_paused_job_that_is_cancelled_keeps_no_files(
    client: TestClient, driver: Driver, objects: FolderStore
) -> None:
    job_id = driver.job()
    lease = driver.claim(job_id)
    driver.checkpoint(lease, 1)
    assert client.post(f"/jobs/{job_id}/pause").json()["status"] == "pausing"
    driver.finish(lease, "paused")
    assert client.post(f"/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    assert client.get(f"/jobs/{job_id}/checkpoints").json()["items"] == []
    assert list(objects.keys("jobs/")) == []


STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such teacher": ({"teacher": "tch_none"}, "unknown_teacher"),
    "no such checkpoint": ({"checkpoint": "tch_none"}, "unknown_teacher"),
    "no such job": ({"artifact": {"job_id": "job_none"}}, "unknown_job"),
    "another library": ({"teacher": "timm"}, "invalid_config"),
    "not inspected": ({"teacher": "inspecting"}, "teacher_not_ready"),
    "queued": ({"artifact": {"job_id": "queued"}}, "job_not_succeeded"),
}


@pytest.mark.parametrize("case", STARTS)
def test_weights_that_a_student_cannot_start_from_are_refused_at_once(
    client: TestClient, driver: Driver, case: str
) -> None:
    weights, code = STARTS[case]
    made = {
        "timm": lambda: {"teacher": driver.teacher()},
        "inspecting": lambda: {"teacher": driver.teacher(status="inspecting")},
        "queued": lambda: {"artifact": {"job_id": driver.job()}},
    }
    given = next((made[name]() for name in made if name in str(weights)), weights)
    request = body(driver, student={"name": "retort:resnet8", "weights": given})
    assert pointers(problem(client.post("/jobs", json=request), 422, code)) == {"/student/weights"}


def test_a_learning_rate_of_weights_without_weights_is_refused(client: TestClient, driver: Driver) -> None:
    request = body(driver, config={"backbone_learning_rate": 1e-4})
    document = problem(client.post("/jobs", json=request), 422, "invalid_config")
    assert pointers(document) == {"/config/backbone_learning_rate"}


def test_a_teacher_that_a_waiting_jobs_student_starts_from_stays(client: TestClient, driver: Driver) -> None:
    teacher = driver.teacher(architecture={"name": "retort:resnet14", "options": {}})
    student = {"name": "retort:resnet8", "weights": {"checkpoint": teacher}}
    request = body(driver, teacher=..., student=student, config={"recipe": "cross_entropy"})
    job = client.post("/jobs", json=request)
    assert job.status_code == 202, job.text
    assert job.json()["student_weights"] == {"teacher": teacher}
    problem(client.delete(f"/teachers/{teacher}"), 409, "in_use")
    client.post(f"/jobs/{job.json()['id']}/cancel")
    assert client.delete(f"/teachers/{teacher}").status_code == 204


def test_only_a_job_that_succeeded_can_be_extended(client: TestClient, driver: Driver) -> None:
    job = driver.job()
    problem(client.post(f"/jobs/{job}/extend", json={"epochs": 2}), 409, "job_not_succeeded")
    problem(client.post("/jobs/job_none/extend", json={"epochs": 2}), 404)
    assert "extend" not in client.get(f"/jobs/{job}").json()["links"]


@pytest.mark.parametrize(("before", "given", "expected"), [
    ({}, {"preset": "crd"}, {"optimizer": "sgd", "schedule": "multi_step", "batch_size": 64, "epochs": 2}),
    ({}, {"preset": "crd", "batch_size": 32}, {"optimizer": "sgd", "batch_size": 32}),
    ({"preset": "crd"}, {"preset": "feature_only"}, {"optimizer": "adamw", "momentum": "auto", "gamma": 0.1,
     "milestones": "auto", "recipe": "feature_only", "recipe_parameters": {}}),
    ({"preset": "crd", "nesterov": True}, {"preset": "feature_only", "optimizer": "sgd"}, {"nesterov": True}),
    ({"preset": "crd", "batch_size": 32}, {"preset": "crd"}, {"batch_size": 32, "optimizer": "sgd"}),
    ({"preset": "crd"}, {}, {"preset": "crd", "optimizer": "sgd", "epochs": 2}),
])  # fmt: skip
def test_an_extension_with_another_preset_has_its_values(
    client: TestClient, driver: Driver, before: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = {"recipe": "logit", "recipe_parameters": {"temperature": 3.0}} | before
    job = client.post("/jobs", json=body(driver, config=asked)).raise_for_status().json()["id"]
    driver.succeed(job)
    answer = client.post(f"/jobs/{job}/extend", json={"epochs": 2, "config": given})
    assert answer.status_code == 202, answer.text
    config = answer.json()["config"]
    assert {name: config[name] for name in expected} == expected


def test_an_extension_is_tried_without_being_queued(client: TestClient, driver: Driver) -> None:
    job = client.post("/jobs", json=body(driver, config={"recipe": "logit"})).raise_for_status().json()["id"]
    driver.succeed(job)
    dry = client.post(f"/jobs/{job}/extend?dry_run=true", json={"epochs": 2})
    assert dry.status_code == 200, dry.text
    assert (dry.json()["valid"], dry.json()["config"]["epochs"]) == (True, 2)
    assert [item["id"] for item in client.get("/jobs").json()["items"]] == [job]


def test_settings_of_an_extension_are_checked(client: TestClient, driver: Driver, database: Database) -> None:
    job = driver.job()
    in_status(database, job, "succeeded")
    answer = client.post(f"/jobs/{job}/extend", json={"epochs": 2, "config": {"batch_sise": 3}})
    assert "/config/batch_sise" in pointers(problem(answer, 422))
