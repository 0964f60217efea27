"""Changes with `If-Match`, and requests with a key that is in flight."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.errors.problems import PreconditionFailed
from api.http.preconditions import own, require
from api.resources.jobs import tags
from api.resources.jobs.schemas import JobOut
from store.clock import db_now
from store.database import Database
from tests.api.checks import pointers, problem
from tests.api.driver import Driver, Inspector
from tests.api.test_jobs import body, in_status
from tests.api.test_registration import post_teacher, safetensors

ACTIONS = {"cancel": "queued", "stop": "running", "pause": "queued", "resume": "paused", "retry": "failed"}


def tag(client: TestClient, path: str) -> str:
    return client.get(path).headers["etag"]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_a_job_that_has_changed_is_a_412(
    client: TestClient, driver: Driver, database: Database, action: str
) -> None:
    job_id = driver.job()
    path = f"/jobs/{job_id}"
    seen = tag(client, path)
    in_status(database, job_id, ACTIONS[action], phase="distilling", priority=1)
    document = problem(client.post(f"{path}/{action}", headers={"If-Match": seen}), 412, "precondition_failed")
    assert document["details"] == {"etag": tag(client, path)}
    assert client.get(path).json()["status"] == ACTIONS[action]
    assert client.post(f"{path}/{action}", headers={"If-Match": tag(client, path)}).status_code == 202


def made(driver: Driver, noun: str) -> str:
    return f"/{noun}s/{getattr(driver, noun)()}"


@pytest.mark.parametrize("noun", ["job", "teacher", "dataset"])
def test_what_a_client_names_can_be_changed_by_who_has_seen_it(client: TestClient, driver: Driver, noun: str) -> None:
    path = made(driver, noun)
    first = client.get(path)
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    ours = {"labels": {"team": "a"}} if noun == "dataset" else {"name": "ours", "labels": {"team": "a"}}
    changed = client.patch(path, json=ours, headers={"If-Match": first.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert changed.json() == first.json() | ours == client.get(path).json()
    assert changed.headers["etag"] == tag(client, path) != first.headers["etag"]
    theirs = {"labels": {"team": "b"}}
    problem(client.patch(path, json=theirs, headers={"If-Match": first.headers["etag"]}), 412, "precondition_failed")
    assert client.get(path).json()["labels"] == {"team": "a"}
    several = {"If-Match": f'"other", {changed.headers["etag"]}'}
    assert client.patch(path, json=theirs, headers=several).status_code == 200
    assert client.patch(path, json=theirs, headers={"If-Match": "*"}).status_code == 200
    assert client.get(path).json()["labels"] == {"team": "b"}
    assert client.patch(path, json={}).json()["labels"] == {"team": "b"}
    problem(client.delete(path, headers={"If-Match": first.headers["etag"]}), 412)
    query = "?cancel=true" if noun == "job" else ""
    assert client.delete(path + query, headers={"If-Match": tag(client, path)}).status_code == 204


@pytest.mark.parametrize("noun", ["job", "teacher", "dataset"])
@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [({"name": None}, "/name"), ({"labels": {"a b": ""}}, "/labels/a b"), ({"status": "x"}, "/status")],
)
def test_nothing_else_can_be_changed(
    client: TestClient, driver: Driver, noun: str, wrong: dict[str, Any], pointer: str
) -> None:
    path = made(driver, noun)
    before = client.get(path).json()
    assert pointers(problem(client.patch(path, json=wrong), 422)) == {pointer}
    assert client.get(path).json() == before


def test_a_request_that_is_wrong_is_told_so_before_its_precondition(client: TestClient, driver: Driver) -> None:
    path, stale = made(driver, "job"), {"If-Match": '"stale"'}
    problem(client.patch(path, json={"name": 3}, headers=stale), 422)
    problem(client.patch(path, json={"priority": False}, headers=stale), 422)
    problem(client.delete(f"{path}?cancel=perhaps", headers=stale), 422)
    problem(client.patch("/jobs/job_none", json={}, headers=stale), 404)


def test_a_named_sets_name_stays(client: TestClient, driver: Driver) -> None:
    path = made(driver, "dataset")
    problem(client.patch(path, json={"name": "other"}), 409, "name_fixed")
    assert client.patch(path, json={"name": "digits"}).status_code == 200


def test_a_jobs_priority_moves_it_in_the_queue(client: TestClient, driver: Driver) -> None:
    first, second = driver.job(), driver.job()
    assert client.patch(f"/jobs/{second}", json={"priority": 1}).json()["queue_position"] == 0
    assert client.get(f"/jobs/{first}").json()["queue_position"] == 1


def test_of_two_who_change_the_same_one_is_told(client: TestClient, driver: Driver) -> None:
    """Ten at once with one tag: one write, nine 412."""
    path = made(driver, "job")
    headers = {"If-Match": tag(client, path)}
    codes: list[int] = []

    def change(name: str) -> None:
        codes.append(client.patch(path, json={"name": name}, headers=headers).status_code)

    threads = [threading.Thread(target=change, args=(str(number),)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [412] * 9


def test_uploads_and_quotas_have_tags_too(client: TestClient, driver: Driver) -> None:
    upload = client.post("/uploads", json={"filename": "f", "size_bytes": 1, "purpose": "teacher"}).json()
    path = f"/uploads/{upload['id']}"
    seen = tag(client, path)
    assert client.get(path, headers={"If-None-Match": seen}).status_code == 304
    client.put(f"{path}/parts/1", content=b"x")
    client.post(f"{path}/complete")
    problem(client.delete(path, headers={"If-Match": seen}), 412)
    assert client.delete(path, headers={"If-Match": tag(client, path)}).status_code == 204
    quotas, seen = "/tenants/tnt_default", tag(client, "/tenants/tnt_default")
    limits = {"running_jobs": 1, "queued_jobs": None, "stored_bytes": None}
    assert client.put(f"{quotas}/quotas", json=limits, headers={"If-Match": seen}).status_code == 200
    problem(client.put(f"{quotas}/quotas", json=limits, headers={"If-Match": seen}), 412)


def test_if_match_compares_strongly() -> None:
    for given in (None, "*", '"a"', '"b", "a"'):
        require(given, '"a"')
    for given in ("", '"b"', 'W/"a"', "a"):
        with pytest.raises(PreconditionFailed):
            require(given, '"a"')
    for given in ('"a.2"', '"b.1", "a.2"'):
        require(given, '"a.1"', own)
    for given in ('"b.1"', 'W/"a.1"', '"a"', "a.1", '"'):
        with pytest.raises(PreconditionFailed):
            require(given, '"a.1"', own)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_heartbeat_changes_the_tag_and_wakes_nobody(
    client: TestClient, driver: Driver, database: Database, conditional: bool
) -> None:
    """The tag stands for every byte of the answer; who waits does so for the job's course, also who comes back with a
    tag from before a heartbeat."""
    job_id = driver.job()
    driver.claim(job_id)
    first = client.get(f"/jobs/{job_id}")
    in_status(database, job_id, "running", heartbeat_at=db_now(5))
    beat = threading.Timer(0.2, lambda: in_status(database, job_id, "running", heartbeat_at=db_now(10)))
    beat.start()
    headers = {"If-None-Match": first.headers["etag"]} if conditional else {}
    waited = client.get(f"/jobs/{job_id}", headers=headers | {"Prefer": "wait=1"})
    beat.join()
    assert waited.elapsed.total_seconds() >= 1
    assert waited.headers["etag"] != first.headers["etag"]
    assert waited.json() == first.json() | {"heartbeat_at": waited.json()["heartbeat_at"]}


def test_without_waiting_a_heartbeat_is_seen(client: TestClient, driver: Driver, database: Database) -> None:
    """A browser revalidates what it keeps: it must not show for ever when a worker was last heard."""
    job_id = driver.job()
    driver.claim(job_id)
    seen = {"If-None-Match": tag(client, f"/jobs/{job_id}")}
    assert client.get(f"/jobs/{job_id}", headers=seen).status_code == 304
    in_status(database, job_id, "running", heartbeat_at=db_now(5))
    assert client.get(f"/jobs/{job_id}", headers=seen).status_code == 200


def test_any_step_of_the_run_answers_who_waits(client: TestClient, driver: Driver, database: Database) -> None:
    job_id = driver.job()
    driver.claim(job_id)
    seen = {"If-None-Match": tag(client, f"/jobs/{job_id}"), "Prefer": "wait=20"}
    for change in ({"progress": {"step": 1}}, {"phase": "scoring"}, {"name": "x"}, {"selection": {"rule": "quality"}}):
        in_status(database, job_id, "running", **change)
        answer = client.get(f"/jobs/{job_id}", headers=seen)
        assert (answer.status_code, answer.elapsed.total_seconds() < 10) == (200, True)
        seen["If-None-Match"] = answer.headers["etag"]


RUN = {
    "phase": "distilling", "progress": {"step": 1}, "resolved": {"config": {}}, "selection": {"rule": "quality"},
    "result": {"student": {}},
}  # fmt: skip


def test_a_tag_stays_good_for_if_match_while_the_job_runs(
    client: TestClient, driver: Driver, database: Database
) -> None:
    """What a run writes is nobody's edit; everything else is: another's change, an action, another attempt."""
    path = f"/jobs/{(job_id := driver.job())}"
    driver.claim(job_id)
    seen = {"If-Match": tag(client, path)}
    for change in ({"heartbeat_at": db_now(5)}, *({name: value} for name, value in RUN.items())):
        in_status(database, job_id, "running", **change)
        answer = client.patch(path, json={}, headers=seen)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == tag(client, path) != seen["If-Match"]
    problem(client.patch(path, json={}, headers={"If-Match": f"W/{seen['If-Match']}"}), 412)
    in_status(database, job_id, "running", attempt=2)
    problem(client.patch(path, json={}, headers=seen), 412, "precondition_failed")
    seen = {"If-Match": tag(client, path)}
    assert client.post(f"{path}/stop", headers=seen).status_code == 202
    problem(client.post(f"{path}/cancel", headers=seen), 412, "precondition_failed")


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # a text where a number is
def test_equal_tags_are_equal_answers(client: TestClient, driver: Driver) -> None:
    shown = JobOut.model_validate(client.get(path := made(driver, "job")).json())
    assert tags.tag_of(shown) == tags.tag_of(shown.model_copy()) == tag(client, path)
    for name in JobOut.model_fields:
        other = shown.model_copy(update={name: "another"})
        assert tags.tag_of(other) != tags.tag_of(shown), name
        assert (tags.course(other) == tags.course(shown)) == (name == "heartbeat_at"), name
        assert (own(tags.tag_of(other)) == own(tags.tag_of(shown))) == (name in tags.RUNNING), name


def test_a_key_in_flight_is_a_409_until_the_first_is_answered(
    client: TestClient, driver: Driver, inspector: Inspector
) -> None:
    """The first waits for its inspection; the second is told so before its body is read; then it is replayed."""
    inspector.verdict = None
    answers: list[Any] = []
    headers = {"Idempotency-Key": "k", "Prefer": "wait=20"}
    first = threading.Thread(target=lambda: answers.append(post_teacher(client, headers=headers)))
    first.start()
    while not client.get("/teachers").json()["items"]:
        pass
    second = post_teacher(client, headers=headers)
    assert problem(second, 409, "idempotency_key_in_flight")["retryable"]
    assert second.headers["retry-after"] == "1"
    other = {"Idempotency-Key": "other"}
    assert client.post("/jobs", json=body(driver), headers=other).status_code == 202  # other keys are not held up
    inspector.verdict = lambda row: ("ready", {"report": {}})
    inspector.doorbell.ring("teacher", "now")
    first.join()
    again = post_teacher(client, headers=headers)
    assert again.json() == answers[0].json()
    assert again.headers["idempotency-replayed"] == "true"
    problem(post_teacher(client, safetensors(7), headers=headers), 422, "idempotency_key_reused")


def test_a_refused_or_broken_request_lets_its_key_go(client: TestClient, driver: Driver) -> None:
    headers = {"Idempotency-Key": "k"}
    broken = headers | {"Content-Type": "multipart/form-data; boundary=b"}
    for _ in range(2):
        problem(client.post("/jobs", json={"x": 1}, headers=headers), 422)
        problem(client.post("/teachers", content=b"--b\r\n", headers=broken), 400)
    assert client.post("/jobs", json=body(driver), headers=headers).status_code == 202
