"""POST /jobs/{id}/exports, and formats in POST /jobs: what is accepted, what is refused, and what goes with what."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from distill import exports
from store.database import Database
from store.repositories import leases, system
from store.tables import Artifact, Job, Worker
from tests.api.checks import pointers, problem
from tests.api.driver import Driver


@pytest.fixture
def finished(driver: Driver) -> str:
    job = driver.job()
    driver.succeed(job)
    return job


def asked(client: TestClient, job: str, wanted: str = "onnx", **body: Any) -> dict[str, Any]:
    answer = client.post(f"/jobs/{job}/exports", json={"format": wanted} | body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_an_export_is_queued_on_its_students_data(client: TestClient, finished: str, database: Database) -> None:
    made = asked(client, finished, "onnx-int8", parameters={"calibration_samples": 8}, max_drop=0.5)
    assert (made["status"], made["format"], made["job"], made["max_drop"]) == ("queued", "onnx-int8", finished, 0.5)
    with database.read() as session:
        source, own = session.get_one(Job, finished), session.get_one(Job, made["id"])
    assert (own.student_of, own.tenant_id, own.dataset_id) == (finished, source.tenant_id, source.dataset_id)
    assert (own.teacher_id, own.student) == (source.teacher_id, source.student)
    assert own.config["seed"] == source.config["seed"]
    job = client.get(f"/jobs/{made['id']}").json()
    assert job["links"]["export"] == made["links"]["self"]
    assert {"student", "report", "extend", "exports"}.isdisjoint(job["links"])
    assert {"cancel", "pause"} <= job["links"].keys()
    assert [each["id"] for each in client.get("/jobs").json()["items"]] == [finished]


def test_the_catalogue_lists_what_a_form_needs(client: TestClient) -> None:
    listed = {each["name"]: each for each in client.get("/catalogue/exports").json()["items"]}
    assert tuple(sorted(listed)) == tuple(sorted(exports.names()))
    assert listed["onnx-int8"]["parameters"]["calibration_samples"]["default"] == 512
    assert client.get("/catalogue").json()["exports"] == client.get("/catalogue/exports").json()["items"]


@pytest.mark.parametrize(
    ("sent", "code", "place"),
    [
        ({"format": "onnx_int8"}, "unknown_name", "/format"),
        ({"format": "gguf"}, "not_exportable", "/format"),
        ({"format": "gguf", "parameters": {"pixels": True}}, "invalid_config", "/parameters/pixels"),
        ({"format": "onnx", "parameters": {"opset": 9}}, "invalid_config", "/parameters/opset"),
        ({"format": "onnx-int8", "parameters": {"calibration": "best"}}, "invalid_config", "/parameters/calibration"),
        ({"format": "onnx", "max_drop": 2}, "invalid_request", "/max_drop"),
        ({}, "invalid_request", "/format"),
    ],
)
def test_what_a_format_has_not_is_named(
    sent: dict[str, Any], code: str, place: str, client: TestClient, finished: str
) -> None:
    assert place in pointers(problem(client.post(f"/jobs/{finished}/exports", json=sent), 422, code))


def test_a_job_without_a_student_exports_nothing(client: TestClient, driver: Driver, finished: str) -> None:
    waiting = driver.job()
    problem(client.post(f"/jobs/{waiting}/exports", json={"format": "onnx"}), 409, "job_not_succeeded")
    of_an_export = asked(client, finished)["id"]
    problem(client.post(f"/jobs/{of_an_export}/exports", json={"format": "onnx"}), 409, "job_not_succeeded")
    problem(client.post("/jobs/job_none/exports", json={"format": "onnx"}), 404)
    problem(client.post(f"/jobs/{of_an_export}/extend", json={"epochs": 1}), 409, "job_not_succeeded")


def test_deleted_files_are_no_student(client: TestClient, finished: str, database: Database) -> None:
    with database.write() as session:
        for row in session.query(Artifact).filter(Artifact.job_id == finished):
            session.delete(row)
    problem(client.post(f"/jobs/{finished}/exports", json={"format": "onnx"}), 409, "files_deleted")


@pytest.mark.parametrize("task", ["generate_text", "classify_text"])
def test_a_task_has_the_formats_that_take_its_students(task: str, client: TestClient, driver: Driver) -> None:
    job = driver.job(dataset_id=driver.dataset(task=task))
    driver.succeed(job, name="student.zip")
    listed = {each["name"]: each for each in client.get("/catalogue/tasks").json()["items"]}[task]
    assert listed["exports"] == bool(listed["formats"])
    for name, told in ((each["name"], each) for each in client.get("/catalogue/exports").json()["items"]):
        assert (name in listed["formats"]) == (task in told["tasks"])
        if task in told["tasks"]:
            asked(client, job, name)
            for parameter, schema in told["parameters"].items():
                if schema["type"] == "boolean" and task not in schema["x-tasks"]:
                    body = {"format": name, "parameters": {parameter: True}}
                    refused = problem(client.post(f"/jobs/{job}/exports", json=body), 422, "not_exportable")
                    assert pointers(refused) == {f"/parameters/{parameter}"}
        else:
            refused = problem(client.post(f"/jobs/{job}/exports", json={"format": name}), 422, "not_exportable")
            assert pointers(refused) == {"/format"}


def test_what_only_pictures_have_is_refused_of_texts(client: TestClient, driver: Driver) -> None:
    job = driver.job(dataset_id=driver.dataset(task="classify_text"))
    driver.succeed(job, name="student.zip")
    asked(client, job, "onnx", parameters={"pixels": False})
    body = {"format": "onnx-int8", "parameters": {"pixels": True, "quantisation_aware": True}}
    refused = problem(client.post(f"/jobs/{job}/exports", json=body), 422, "not_exportable")
    assert pointers(refused) == {"/parameters/pixels", "/parameters/quantisation_aware"}


LACKED = {"code": "missing_package", "message": "The worker lacks the package executorch.",
          "remedy": "Install Retort's extra `executorch` there, which has it.", "fault": "system",
          "details": {"packages": ["executorch"]}}  # fmt: skip


def lives(database: Database, number: int, **info: Any) -> None:
    with database.write() as session:
        worker = Worker(id=f"wrk_{number}", hostname="h", pid=1, slots=1, info=info)
        system.register_worker(session, worker)


def test_a_format_that_every_live_worker_lacks_is_refused_before_the_queue(
    client: TestClient, driver: Driver, finished: str, database: Database
) -> None:
    asked(client, finished, "executorch")  # no worker lives: nothing is known
    lives(database, 1, lacked_exports={"executorch": LACKED, "gguf": LACKED, "onnx-web": LACKED})
    lives(database, 2, lacked_exports={"executorch": LACKED, "gguf": LACKED})
    told = problem(client.post(f"/jobs/{finished}/exports", json={"format": "executorch"}), 422, "missing_package")
    assert pointers(told) == {"/format"}
    assert told["details"] == {"format": "executorch", "packages": ["executorch"]}
    body = {"dataset": driver.dataset(), "student": "retort:resnet8"}
    config = {"recipe": "cross_entropy", "exports": ["onnx", "executorch"]}
    told = problem(client.post("/jobs", json=body | {"config": config}), 422, "missing_package")
    assert pointers(told) == {"/config/exports/1/format"}
    asked(client, finished, "onnx-web")  # the second worker has it
    told = problem(client.post(f"/jobs/{finished}/exports", json={"format": "gguf"}), 422, "not_exportable")
    assert len(told["errors"]) == 1  # no worker that has it would help
    told = [each["info"] for each in client.get("/system").json()["workers"]]
    assert told == [{"lacked_exports": ["executorch", "gguf", "onnx-web"]}, {"lacked_exports": ["executorch", "gguf"]}]
    lives(database, 3)  # of an earlier release, which says nothing
    asked(client, finished, "executorch")


def test_only_a_worker_that_can_write_it_takes_an_export_and_until_then_it_says_what_it_waits_for(
    client: TestClient, driver: Driver, finished: str, database: Database
) -> None:
    """Exports of a finished job, and those that a job writes at its own end."""
    rare, onnx = (asked(client, finished, name)["id"] for name in ("executorch", "onnx"))
    body = {"dataset": driver.dataset(), "student": "retort:resnet8"}
    config = {"recipe": "cross_entropy", "exports": ["executorch", "onnx-web"]}
    trains = client.post("/jobs", json=body | {"config": config}).json()["id"]
    with database.read() as session:
        assert set(leases.queued(session)) == {rare, onnx, trains}
        assert leases.queued(session, lacked=["executorch"]) == [onnx]
        assert set(leases.queued(session, lacked=["onnx-web", "web"])) == {rare, onnx}
        assert set(leases.queued(session, lacked=["onnx-int8", "nnx"])) == {rare, onnx, trains}
        assert leases.any_queued(session, lacked=["executorch"])
        assert not leases.any_queued(session, lacked=["executorch", "onnx"])
    lives(database, 1, lacked_exports={"executorch": LACKED})
    lives(database, 2, lacked_exports={"onnx-web": LACKED})
    told = {each: client.get(f"/jobs/{each}").json()["waiting_for"] for each in (rare, onnx, trains)}
    assert (told[rare], told[onnx]) == (None, None)  # the second worker takes it
    assert "executorch and onnx-web" in told[trains]  # none has both
    refused = problem(client.post("/jobs", json=body | {"config": config}), 422, "missing_package")
    assert pointers(refused) == {"/config/exports"}
    assert refused["details"] == {"formats": ["executorch", "onnx-web"]}
    with database.write() as session:
        system.remove_worker(session, "wrk_2")  # it has gone: what waits goes on waiting, and says so
    assert "executorch" in client.get(f"/jobs/{rare}").json()["waiting_for"]


@pytest.mark.parametrize("dry_run", ["true", "false"])
@pytest.mark.parametrize(
    ("wanted", "code", "place"),
    [
        (["onnx", "onx"], "unknown_name", "/config/exports/1/format"),
        ([{"format": "onnx", "parameters": {"pixels": 1}}], "invalid_config", "/config/exports/0/parameters/pixels"),
        (["onnx", "onnx"], "invalid_request", "/config/exports"),
    ],
)
def test_formats_of_a_new_job_are_checked_first(
    dry_run: str, wanted: list[Any], code: str, place: str, client: TestClient, driver: Driver
) -> None:  # fmt: skip
    body = {"teacher": driver.teacher(), "dataset": driver.dataset(), "student": "retort:resnet8"}
    answer = client.post("/jobs", params={"dry_run": dry_run}, json=body | {"config": {"exports": wanted}})
    assert place in pointers(problem(answer, 422, code))


def test_a_new_job_keeps_what_it_was_asked_for(client: TestClient, driver: Driver) -> None:
    body = {"teacher": driver.teacher(), "dataset": driver.dataset(), "student": "retort:resnet8"}
    wanted = ["onnx", {"format": "onnx-int8", "max_drop": 0.005}]
    config = client.post("/jobs", json=body | {"config": {"exports": wanted}}).raise_for_status().json()["config"]
    assert [(each["format"], each["max_drop"]) for each in config["exports"]] == [("onnx", 0.01), ("onnx-int8", 0.005)]


def test_an_export_is_nothing_to_compare_with(client: TestClient, driver: Driver, finished: str) -> None:
    made = asked(client, finished)["id"]
    driver.finish(driver.claim(made), "succeeded")
    dataset = client.get(f"/jobs/{finished}").json()["dataset"]
    body = {"teacher": driver.teacher(), "dataset": dataset, "student": "retort:resnet8", "compare_with": made}
    problem(client.post("/jobs", json=body), 422, "unknown_job")


def test_a_job_goes_with_its_exports(client: TestClient, driver: Driver, finished: str) -> None:
    made = asked(client, finished)["id"]
    lease = driver.claim(made)
    driver.artifact(lease, "student.onnx", b"onnx")
    problem(client.delete(f"/jobs/{finished}"), 409, "job_active")
    assert client.delete(f"/jobs/{finished}?cancel=true").status_code == 202
    assert client.get(f"/jobs/{made}").json()["status"] == "cancelling"
    driver.finish(lease, "cancelled")
    assert client.delete(f"/jobs/{finished}").status_code == 204
    for gone in (finished, made):
        problem(client.get(f"/jobs/{gone}"), 404)
    assert not list(driver.objects.keys("jobs/"))


def test_what_its_worker_said_is_shown(client: TestClient, driver: Driver, finished: str) -> None:
    from distill.types import Event

    made = asked(client, finished)
    lease = driver.claim(made["id"])
    entry = {"format": "onnx", "exceeds_max_drop": True, "drop": 0.2, "files": []}
    said = {"exports": {"exports": [entry], "failed": [], "torch": {"student": {"bytes": 3}}}}
    driver.record(lease, Event("result", said))
    driver.artifact(lease, "student.onnx", b"onnx")
    driver.finish(lease, "succeeded")
    shown = client.get(made["links"]["self"]).json()
    assert (shown["status"], shown["exceeds_max_drop"], shown["result"]["drop"]) == ("succeeded", True, 0.2)
    assert shown["torch"] == {"bytes": 3}
    assert [file["name"] for file in shown["files"]] == ["student.onnx"]
    assert client.get(shown["files"][0]["href"]).content == b"onnx"
    assert [each["id"] for each in client.get(f"/jobs/{finished}/exports").json()["items"]] == [made["id"]]
