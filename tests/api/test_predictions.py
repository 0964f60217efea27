"""POST /jobs/{id}/predict and GET /jobs/{id}/disagreements without a worker: what is accepted, what is refused, how a
request travels, and what is left of it."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.repositories import predictions, system
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Artifact, Prediction, Worker
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

PICTURE = base64.b64encode(b"bytes").decode()
CLASS = {"kind": "class", "label": "3", "index": 3, "probability": 0.5, "top": []}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"predict_wait_seconds": 1})


@pytest.fixture
def worker(database: Database) -> None:
    """One that says it answers requests; nobody does unless `answering`."""
    with database.write() as session:
        row = Worker(id="wrk_test", hostname="here", pid=1, slots=1, info={"predictors": 1})
        system.register_worker(session, row)


@pytest.fixture
def finished(driver: Driver) -> str:
    return ended(driver, "classify_images")


def ended(driver: Driver, task: str, **values: Any) -> str:
    job = driver.job(dataset_id=driver.dataset(task=task), **values)
    driver.succeed(job)
    return job


@pytest.fixture
def answering(database: Database) -> Iterator[Callable[[dict[str, Any]], list[Any]]]:
    """Gives the next request this last message, as a worker does; returns the questions that it has taken."""
    threads = list[threading.Thread]()

    def answer(last: dict[str, Any]) -> list[Any]:
        taken = list[Any]()

        def work() -> None:
            question = None
            for _ in range(500):
                with database.write() as session:
                    question = predictions.claim(session, "wrk_test")
                if question is not None:
                    break
                time.sleep(0.01)
            assert question is not None
            taken.append(question)
            said = {"kind": "answers", "network": "student", "answers": [CLASS], "milliseconds": 1.0}
            with database.write() as session:
                predictions.tell(session, question.id, [said, last], done=True)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return taken

    yield answer
    for thread in threads:
        thread.join(10)


def done(**more: Any) -> dict[str, Any]:
    return {"kind": "done", "agreement": {}, "unable": [], "warm": True, "milliseconds": 2.0} | more


def failed(code: str, fault: str = "system", **more: Any) -> dict[str, Any]:
    error = {"code": code, "message": "It died.", "remedy": "Ask again.", "fault": fault, "retryable": True}
    return {"kind": "failed", "error": error | {"details": {}} | more}


def left(database: Database) -> int:
    with database.read() as session:
        return session.query(Prediction).count()


def test_a_request_travels_as_a_row_and_leaves_none(
    client: TestClient, finished: str, database: Database, worker: None, answering: Any
) -> None:
    taken = answering(done())
    form = {"files": [("file", ("a.png", b"one")), ("file", ("b.png", b"three"))]}
    answer = client.post(f"/jobs/{finished}/predict", **form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"] == [{"student": CLASS, "teachers": []}]
    (question,) = taken
    assert (question.pictures, question.request["sizes"]) == (b"onethree", [3, 5])
    assert question.request["teacher"] is False
    assert left(database) == 0


@pytest.mark.parametrize(
    ("last", "status", "code"),
    [
        (failed("predictor_died"), 503, "predictor_died"),
        (failed("input_gone", "user"), 409, "files_deleted"),
        (failed("invalid_sample", "user", details={"input": 1}), 422, "invalid_sample"),
        (failed("internal"), 500, "internal"),
    ],
)
def test_what_a_worker_could_not_do_is_a_problem(
    last: dict[str, Any], status: int, code: str, client: TestClient, finished: str, worker: None, answering: Any,
    database: Database,
) -> None:  # fmt: skip
    answering(last)
    told = problem(client.post(f"/jobs/{finished}/predict", json={"inputs": [{"image": PICTURE}]}), status, code)
    assert pointers(told) == ({"/inputs/1"} if code == "invalid_sample" else set())
    assert left(database) == 0


def test_a_stream_ends_with_the_answer(client: TestClient, driver: Driver, worker: None, answering: Any) -> None:
    job = ended(driver, "classify_text")
    answering(done())
    headers = {"Accept": "text/event-stream"}
    answer = client.post(f"/jobs/{job}/predict", json={"inputs": ["a text"]}, headers=headers)
    kind, data = answer.text.strip().split("\n")
    assert kind == "event: answer"
    assert json.loads(data.removeprefix("data: "))["items"][0]["student"] == CLASS


def test_without_a_worker_nobody_waits(client: TestClient, finished: str, database: Database) -> None:
    problem(client.post(f"/jobs/{finished}/predict", json={"inputs": [{"image": PICTURE}]}), 503, "no_worker")
    assert left(database) == 0


def test_a_worker_that_does_not_answer_is_waited_for_so_long_and_no_longer(
    client: TestClient, finished: str, worker: None, database: Database
) -> None:
    answer = client.post(f"/jobs/{finished}/predict", json={"inputs": [{"image": PICTURE}]})
    problem(answer, 503, "prediction_timeout")
    assert left(database) == 0


@pytest.mark.parametrize(
    ("task", "body", "code", "place"),
    [
        ("classify_images", {"inputs": ["a text"]}, "invalid_sample", "/inputs"),
        ("classify_text", {"inputs": [{"image": PICTURE}]}, "invalid_sample", "/inputs"),
        ("classify_text", {"inputs": ["a text", {"image": PICTURE}]}, "invalid_request", "/inputs"),
        ("classify_text", {"inputs": []}, "invalid_request", "/inputs"),
        ("classify_text", {"inputs": ["a"] * 9}, "invalid_request", "/inputs"),
        ("classify_text", {"inputs": ["a"], "temperature": 1}, "invalid_config", "/temperature"),
        ("generate_text", {"inputs": ["a"], "max_tokens": 0}, "invalid_request", "/max_tokens"),
        ("generate_text", {"inputs": ["a"], "temprature": 0}, "invalid_request", "/temprature"),
        ("classify_images", {"inputs": [{"image": "!!!"}]}, "invalid_request", "/inputs/0/image"),
        ("classify_images", {"inputs": [{"image": ""}]}, "invalid_request", "/inputs/0/image"),
        (
            "classify_images",
            {"inputs": [{"image": f"data:image/png;base64,{PICTURE}"}]},
            "invalid_request",
            "/inputs/0/image",
        ),
        ("classify_text", {"inputs": ["a", ""]}, "invalid_request", "/inputs/1"),
        ("classify_text", {"inputs": [["a", ""]]}, "invalid_request", "/inputs/0/1"),
        ("generate_text", {"inputs": [[{"role": "me", "content": "a"}]]}, "invalid_request", "/inputs/0/0/role"),
    ],
)
def test_what_does_not_fit_the_student_is_named(
    task: str, body: dict[str, Any], code: str, place: str, client: TestClient, driver: Driver, worker: None
) -> None:
    job = ended(driver, task)
    assert {place} == pointers(problem(client.post(f"/jobs/{job}/predict", json=body), 422, code))


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [(9, 422, "invalid_request"), (11 * 2**20, 413, "payload_too_large"), (21 * 2**20, 413, "payload_too_large")],
)
def test_pictures_are_few_and_small(
    files: int, status: int, code: str, client: TestClient, finished: str, worker: None
) -> None:
    sent = [b"x"] * files if files < 10 else [bytes(files)]
    form = [("file", (f"{i}.png", each)) for i, each in enumerate(sent)]
    problem(client.post(f"/jobs/{finished}/predict", files=form), status, code)


def test_a_form_without_a_picture_or_with_other_fields_is_refused(
    client: TestClient, finished: str, worker: None
) -> None:
    path = f"/jobs/{finished}/predict"
    assert pointers(problem(client.post(path, files={"image": b"x"}), 422, "invalid_request")) == {"/image"}
    text = problem(client.post(path, files={"file": (None, "cat.png")}), 422, "invalid_request")
    assert pointers(text) == {"/file"}
    assert "@" in text["remedy"]
    empty = client.post(path, files={"teacher": (None, "true")})
    assert pointers(problem(empty, 422, "invalid_request")) == {"/file"}
    assert "/stream" in pointers(
        problem(client.post(path, files={"file": b"x"}, data={"stream": "true"}), 422, "invalid_request")
    )


def test_a_job_without_student_or_teacher_says_so(
    client: TestClient, driver: Driver, finished: str, worker: None, database: Database
) -> None:
    body = {"inputs": [{"image": PICTURE}]}
    problem(client.post(f"/jobs/{driver.job()}/predict", json=body), 409, "job_not_succeeded")
    problem(client.post(f"/jobs/{finished}/predict", json=body | {"teacher": True}), 409, "no_teacher")
    problem(client.post("/jobs/job_none/predict", json=body), 404)
    with database.write() as session:
        for row in session.query(Artifact).filter(Artifact.job_id == finished):
            session.delete(row)
    problem(client.post(f"/jobs/{finished}/predict", json=body), 409, "files_deleted")


def test_a_tenant_has_so_many_requests_on_their_way(
    client: TestClient, finished: str, worker: None, database: Database
) -> None:
    with database.write() as session:
        for _ in range(16):
            predictions.ask(session, DEFAULT_TENANT, finished, {}, None, 60)
    answer = client.post(f"/jobs/{finished}/predict", json={"inputs": [{"image": PICTURE}]})
    problem(answer, 429, "too_many_predictions")


def test_a_seat_takes_its_own_students_requests_first_and_others_when_they_wait(
    database: Database, driver: Driver, finished: str
) -> None:
    other = ended(driver, "classify_images")
    with database.write() as session:
        first = predictions.ask(session, DEFAULT_TENANT, other, {}, b"x", 60)
        second = predictions.ask(session, DEFAULT_TENANT, finished, {}, None, 60)
        assert predictions.oldest(session, 60) is None
        assert predictions.claim(session, "w", None, 60) is None
    with database.write() as session:
        own = predictions.claim(session, "w", finished)
        assert own is not None
        assert own.id == second
        assert predictions.claim(session, "w", finished) is None
        assert predictions.oldest(session, 0) == other
    with database.write() as session:
        taken = predictions.claim(session, "w")
        assert taken is not None
        assert (taken.id, taken.pictures) == (first, b"x")
        assert session.get_one(Prediction, first).pictures is None  # it has left the database with its worker
        assert not predictions.any_waiting(session)


def test_what_nobody_took_away_is_removed(database: Database, finished: str) -> None:
    with database.write() as session:
        predictions.ask(session, DEFAULT_TENANT, finished, {}, None, -1)
        kept = predictions.ask(session, DEFAULT_TENANT, finished, {}, None, 60)
        predictions.sweep(session)
    with database.read() as session:
        assert [row.id for row in session.query(Prediction)] == [kept]


def listed(driver: Driver, count: int) -> str:
    job = driver.job(dataset_id=driver.dataset(task="classify_images"), teacher_id=driver.teacher())
    lease = driver.claim(job)
    tile = {"x": 0, "y": 0, "width": 8, "height": 8}
    answers = {name: {"label": "3"} for name in ("label", "student", "teacher")}
    items = [{"rank": n, "sample": n, "score": 1 / n, "tile": tile} | answers for n in range(1, count + 1)]
    told = {"measure": "jensen_shannon", "definition": "It.", "samples": 9, "agreeing": 1, "items": items}
    told |= {"sheet": {"name": "disagreements.webp", "width": 8, "height": 8}}
    driver.artifact(lease, "disagreements.json", json.dumps(told).encode(), "application/json")
    driver.finish(lease, "succeeded")
    return job


def test_disagreements_come_in_pages(client: TestClient, driver: Driver) -> None:
    job = listed(driver, 5)
    seen, cursor = list[int](), ""
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/jobs/{job}/disagreements", params=query).raise_for_status().json()
        seen += [each["rank"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [1, 2, 3, 4, 5]
    assert page["sheet"]["href"] == f"/jobs/{job}/artifacts/disagreements.webp"


def test_a_job_without_a_ranking_says_why(client: TestClient, driver: Driver, finished: str) -> None:
    problem(client.get(f"/jobs/{finished}/disagreements"), 404, "no_disagreements")
    problem(client.get(f"/jobs/{driver.job()}/disagreements"), 404, "no_disagreements")
    problem(client.get("/jobs/job_none/disagreements"), 404)
