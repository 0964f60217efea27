"""A dry run queues nothing and says what the job would take: each figure with its basis, and not far from the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from api.resources.jobs import throughput
from distill import estimate
from distill.estimate import (
    NetworkCost,
    SampleWork,
    Workload,
    disk_bytes,
    head_flops,
    memory_bytes,
    other_flops,
    split_sizes,
    training_flops,
)
from distill.training.head import most_samples
from distill.types import DistillConfig
from store.database import Database
from store.objects import FolderStore
from store.repositories import costs, system
from store.repositories.history import Run
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Attempt, CatalogueEntry, Job, Worker
from tests.api.checks import pointers, problem
from tests.api.driver import Driver
from tests.api.off_loop import OffLoopDoorbell
from tests.embedded.service import Service, wait_for
from tests.slowness import within

VIEW = {
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": [224, 224], "interpolation": "bicubic",
    "channels": 3, "crop": 0.95, "channel_order": "RGB", "size_told": False,
}  # fmt: skip


@pytest.mark.parametrize(("origin", "codes"), [("default", ["preprocessing_assumed"]), ("registration", [])])
def test_an_assumed_preprocessing_is_warned_of(
    client: TestClient, driver: Driver, origin: str, codes: list[str]
) -> None:
    report = {"num_classes": 2, "in_channels": 3, "preprocessing": VIEW | {"origin": origin}}
    report["architecture"] = {"name": "timm:resnet34", "options": {}}
    body = {"teacher": driver.teacher(report=report), "dataset": driver.dataset(report=REPORT), "student": STUDENT}
    answer = client.post("/jobs?dry_run=true", json=body | {"config": {"recipe": "logit"}})
    assert answer.status_code == 200, answer.text
    assert [each["code"] for each in answer.json()["warnings"]] == codes


COUNTED = {
    "classes": ["a", "b"],
    "counts": {"train": [500, 500], "test": [50, 50]},
    "modes": {"grey": 1100, "colour": 0},
}
REPORT = COUNTED | {"heights": [8, 8, 8], "widths": [8, 8, 8]}
STUDENT = {"name": "retort:resnet8", "options": {}}
QUESTION = {
    "task": "classify_images",
    "architecture": STUDENT,
    "num_classes": 2,
    "in_channels": 1,
    "image_size": "auto",
    "native_size": [8, 8],
}
COST = {"parameters": 10_000, "flops": 1_000_000, "activation_bytes": 40_000, "modules": 20}
CONFIG: dict[str, Any] = {"recipe": "cross_entropy", "epochs": 10, "batch_size": 100}


def ask(client: TestClient, driver: Driver, **config: Any) -> Any:
    body = {"dataset": driver.dataset(report=REPORT), "student": STUDENT["name"], "config": CONFIG | config}
    return client.post("/jobs?dry_run=true", json=body)


def measured(database: Database, found: dict[str, Any]) -> None:
    with database.write() as session:
        costs.answer(session, QUESTION, found)


def test_without_a_worker_nothing_is_guessed_and_nothing_waited_for(client: TestClient, driver: Driver) -> None:
    answer = ask(client, driver)
    assert answer.status_code == 200, answer.text
    estimates = answer.json()["estimates"]
    assert (estimates["memory_bytes"], estimates["disk_bytes"], estimates["minutes"]) == (None, None, None)
    assert "worker" in estimates["notes"][0]
    assert answer.elapsed.total_seconds() < 4
    assert client.get("/jobs").json()["items"] == []


def test_a_live_worker_is_asked_and_rung_for_outside_the_event_loop(
    client: TestClient, driver: Driver, database: Database, doorbell: OffLoopDoorbell
) -> None:
    """With a Redis that accepts and stays silent a ring takes 5 s: the doorbell of these tests refuses the loop."""
    with database.write() as session:
        system.register_worker(session, Worker(id="wrk_a", hostname="h", pid=1, slots=1))
    seen, body = doorbell.rings, {"dataset": driver.dataset(report=REPORT), "student": STUDENT["name"]}
    for _ in range(2):
        answer = client.post("/jobs?dry_run=true", json=body | {"config": CONFIG}, headers={"Prefer": "wait=0"})
        assert answer.status_code == 200, answer.text
    assert doorbell.rings == seen + 2
    with database.read() as session:
        assert costs.next_wanted(session) is not None


def test_every_figure_has_a_range_and_a_basis(client: TestClient, driver: Driver, database: Database) -> None:
    measured(database, {"cost": COST})
    estimates = ask(client, driver).json()["estimates"]
    for name in ("memory_bytes", "disk_bytes", "minutes"):
        figure = estimates[name]
        assert 0 < figure["low"] < figure["value"] < figure["high"], name
        assert figure["basis"]
    assert "no job has been done here yet" in estimates["minutes"]["basis"]
    assert "queue" in estimates["notes"][0]


def test_a_student_that_cannot_be_built_is_refused(client: TestClient, driver: Driver, database: Database) -> None:
    error = {"code": "invalid_config", "message": "It has no width.", "remedy": "Leave it out.", "fault": "user"}
    measured(database, {"error": error | {"retryable": False, "details": {}}})
    assert pointers(problem(ask(client, driver), 422, "invalid_config")) == {"/student"}


UNUSABLE = ("imagenet", '{"size": []}', '{"size": 224}', "[1]", "null", "[" * 10_000)


@pytest.mark.parametrize("said", UNUSABLE)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_teacher_that_no_run_can_use_is_refused_however_old_its_report(
    client: TestClient, driver: Driver, said: str, query: str
) -> None:
    """Inspections of earlier releases let a foreign `preprocessing` in a file's metadata pass."""
    report = {"num_classes": 2, "in_channels": 1, "metadata": {"preprocessing": said}}
    body = {"teacher": driver.teacher(report=report), "dataset": driver.dataset(report=REPORT)}
    body["student"] = STUDENT["name"]
    document = problem(client.post(f"/jobs{query}", json=body | {"config": {"epochs": 1}}), 422, "invalid_teacher")
    assert pointers(document) == {"/teacher"}


def test_a_teacher_is_counted_at_the_size_that_its_header_names(
    client: TestClient, driver: Driver, database: Database
) -> None:
    view = {"mean": [0.5], "std": [0.5], "size": [12, 12], "interpolation": "bilinear", "channels": 1, "crop": 1.0}
    report = {"num_classes": 2, "in_channels": 1, "metadata": {"preprocessing": json.dumps(view)}}
    with database.write() as session:
        system.register_worker(session, Worker(id="wrk_a", hostname="h", pid=1, slots=1))
    body = {"teacher": driver.teacher(report=report), "dataset": driver.dataset(report=REPORT)}
    body["student"] = STUDENT["name"]
    answer = client.post("/jobs?dry_run=true", json=body, headers={"Prefer": "wait=0"})
    assert answer.status_code == 200, answer.text
    with database.read() as session:
        asked = [row.data for row in session.query(CatalogueEntry).filter_by(kind=costs.WANTED)]
    together = [each.pop("rehearsal") for each in asked if "rehearsal" in each]
    sizes = [each["image_size"] for each in asked if "image_size" in each]
    assert sorted(sizes, key=str) == [12, "auto"]
    assert [each["teacher"]["image_size"] for each in together] == [12]


FEATURES = {"recipe": "feature_only", "layers": 1, "teacher_layers": ["layer1"], "student_layers": ["layer2"]}
BYPASSED = {
    "code": "invalid_config", "message": "A connection bypasses layer2.", "remedy": "Let student_layers end later.",
    "fault": "user", "retryable": False, "details": {"field": "student_layers"},
}  # fmt: skip
UNTAUGHT = {"code": "untaught_parameters", "message": "No loss reaches neck.", "remedy": "...", "details": {}}


def rehearsed(client: TestClient, driver: Driver, database: Database, found: dict[str, Any]) -> dict[str, Any]:
    """A request whose rehearsal a worker has answered with `found`."""
    report = {"num_classes": 2, "in_channels": 1, "preprocessing": VIEW | {"origin": "header", "channels": 1}}
    body = {"teacher": driver.teacher(report=report), "dataset": driver.dataset(report=REPORT), "config": FEATURES}
    body["student"] = STUDENT["name"]
    with database.write() as session:
        system.register_worker(session, Worker(id="wrk_a", hostname="h", pid=1, slots=1))
    assert client.post("/jobs?dry_run=true", json=body, headers={"Prefer": "wait=0"}).status_code == 200
    with database.write() as session:
        asked = [row.data for row in session.query(CatalogueEntry).filter_by(kind=costs.WANTED)]
        for question in [each for each in asked if "rehearsal" in each]:
            costs.answer(session, question, found)
    return body


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_what_the_run_would_refuse_is_refused(
    client: TestClient, driver: Driver, database: Database, query: str
) -> None:
    body = rehearsed(client, driver, database, {"error": BYPASSED})
    document = problem(client.post(f"/jobs{query}", json=body, headers={"Prefer": "wait=0"}), 422, "invalid_config")
    assert pointers(document) == {"/config/student_layers"}
    assert client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_what_runs_of_a_studys_base_job_would_refuse_is_refused(
    client: TestClient, driver: Driver, database: Database, query: str
) -> None:
    base = rehearsed(client, driver, database, {"error": BYPASSED})
    body = {"base": base, "space": {"/config/learning_rate": {"choices": [0.1, 0.01]}}}
    answer = client.post(f"/studies{query}", json=body, headers={"Prefer": "wait=0"})
    assert pointers(problem(answer, 422, "invalid_config")) == {"/base/config/student_layers"}
    assert client.get("/studies").json()["items"] == []


def test_what_the_run_would_warn_of_is_told(client: TestClient, driver: Driver, database: Database) -> None:
    body = rehearsed(client, driver, database, {"cost": {"warnings": [UNTAUGHT]}})
    told = client.post("/jobs?dry_run=true", json=body, headers={"Prefer": "wait=0"}).json()
    assert [each["code"] for each in told["warnings"]] == ["untaught_parameters"]
    assert client.post("/jobs", json=body).status_code == 202


def test_a_request_that_names_student_layers_is_rehearsed_before_it_is_queued(
    client: TestClient, driver: Driver, database: Database
) -> None:
    body = rehearsed(client, driver, database, {"cost": {"warnings": []}})
    other = body | {"config": FEATURES | {"student_layers": ["layer3"]}}
    assert client.post("/jobs", json=other, headers={"Prefer": "wait=0"}).status_code == 202
    with database.read() as session:
        asked = [row.data for row in session.query(CatalogueEntry).filter_by(kind=costs.WANTED)]
    named = [each["rehearsal"]["config"]["student_layers"] for each in asked if "rehearsal" in each]
    assert named == [["layer3"]]


def counted(client: TestClient, driver: Driver, database: Database, layers: int) -> dict[str, Any]:
    """A request whose networks a worker has counted, this many layers each."""
    report = {"num_classes": 2, "in_channels": 1, "preprocessing": VIEW | {"origin": "header", "channels": 1}}
    body = {"teacher": driver.teacher(report=report), "dataset": driver.dataset(report=REPORT)}
    body |= {"student": STUDENT["name"], "config": {"recipe": "feature_only", "epochs": 2}}
    with database.write() as session:
        system.register_worker(session, Worker(id="wrk_a", hostname="h", pid=1, slots=1))
    assert client.post("/jobs?dry_run=true", json=body, headers={"Prefer": "wait=0"}).status_code == 200
    with database.write() as session:
        for question in [row.data for row in session.query(CatalogueEntry).filter_by(kind=costs.WANTED)]:
            told = {"warnings": []} if "rehearsal" in question else COST | {"layers": layers}
            costs.answer(session, question, {"cost": told})
    return body


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_more_layers_than_a_network_has_are_refused_before_the_queue(
    client: TestClient, driver: Driver, database: Database, query: str
) -> None:
    body, headers = counted(client, driver, database, layers=3), {"Prefer": "wait=0"}
    many = body | {"config": body["config"] | {"layers": 4}}
    document = problem(client.post(f"/jobs{query}", json=many, headers=headers), 422, "invalid_config")
    assert pointers(document) == {"/config/layers"}
    assert client.get("/jobs").json()["items"] == []
    for config in (body["config"], body["config"] | {"layers": 3}):
        assert client.post(f"/jobs{query}", json=body | {"config": config}, headers=headers).status_code < 300


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_study_of_numbers_of_layers_names_those_that_no_run_takes(
    client: TestClient, driver: Driver, database: Database, query: str
) -> None:
    base, headers = counted(client, driver, database, layers=3), {"Prefer": "wait=0"}
    space = {"/config/layers": {"choices": [2, 3, 8]}, "/config/learning_rate": {"choices": [0.1, 0.01]}}
    answer = client.post(f"/studies{query}", json={"base": base, "space": space}, headers=headers)
    assert pointers(problem(answer, 422, "invalid_config")) == {"/space/~1config~1layers/choices/2"}
    space["/config/layers"] = {"choices": [2, 3]}
    assert client.post(f"/studies{query}", json={"base": base, "space": space}, headers=headers).status_code < 300


def succeeded(driver: Driver, database: Database, seconds: float, peak: int, **result: Any) -> None:
    """A job like the one asked about, that took `seconds`, half of them for training."""
    job_id = driver.job(config=DistillConfig.model_validate(CONFIG).model_dump(mode="json"), recipe="cross_entropy")
    driver.succeed(job_id)
    column = {"parameters": COST["parameters"], "flops": COST["flops"], "architecture": STUDENT}
    dataset = {"train": 900, "validation": 100, "test": 100, "classes": 2}
    found = {"student": column, "teacher": None, "training": {"steps": 90, "seconds": seconds / 2}, "dataset": dataset}
    with database.write() as session:
        job = session.get_one(Job, job_id)
        assert job.started_at is not None
        job.result, job.finished_at = found | result, job.started_at + timedelta(seconds=seconds)
        for attempt in session.query(Attempt).filter_by(job_id=job_id):
            attempt.peak_memory_bytes = peak


def test_earlier_jobs_tell_time_and_memory(client: TestClient, driver: Driver, database: Database) -> None:
    measured(database, {"cost": COST})
    for seconds in (100.0, 120.0, 140.0):
        succeeded(driver, database, seconds, peak=700 << 20)
    succeeded(driver, database, 1.0, peak=1, dataset={})  # a result that says too little is no evidence
    estimates = ask(client, driver).json()["estimates"]
    assert estimates["minutes"]["value"] == pytest.approx(2.0, rel=0.05)  # the same job again
    assert "3 earlier jobs with this student" in estimates["minutes"]["basis"]
    assert (estimates["memory_bytes"]["value"], estimates["memory_bytes"]["low"]) == (
        700 << 20,
        int((700 << 20) / 1.25),
    )
    doubled = ask(client, driver, epochs=20).json()["estimates"]["minutes"]
    assert doubled["value"] == pytest.approx(3.0, rel=0.05)  # twice the training, the rest as before


def trained(together: float, **head: Any) -> dict[str, Any]:
    return {"training": {"steps": 90, "seconds": together, "head": {"fitted": True, "samples": 900} | head}}


def test_the_last_fit_of_the_head_is_counted_as_it_was_measured(
    client: TestClient, driver: Driver, database: Database
) -> None:
    """120 s: 60 of training, 40 of them the head's fit, and 60 of all else."""
    measured(database, {"cost": COST})
    for _ in range(2):
        succeeded(driver, database, 120.0, peak=1 << 20, **trained(60.0, seconds=40.0))
    again = ask(client, driver).json()["estimates"]["minutes"]
    assert again["value"] == pytest.approx(2.0, rel=0.05)
    assert "the classifier's last fit 40 s, by 2 of them" in again["basis"]
    doubled = ask(client, driver, epochs=20).json()["estimates"]["minutes"]
    assert doubled["value"] == pytest.approx((40 + 40 + 60) / 60, rel=0.05)  # the same samples again
    without = ask(client, driver, fit_head=False).json()["estimates"]["minutes"]
    assert without["value"] == pytest.approx((20 + 60) / 60, rel=0.05)
    assert "classifier" not in without["basis"]


def test_where_the_fit_was_not_measured_its_operations_count_as_others_do(
    client: TestClient, driver: Driver, database: Database
) -> None:
    """Results of releases that told the seconds of training and of the fit together."""
    measured(database, {"cost": COST})
    succeeded(driver, database, 120.0, peak=1 << 20, **trained(60.0))
    again = ask(client, driver).json()["estimates"]["minutes"]
    assert again["value"] == pytest.approx(2.0, rel=0.05)
    assert "last fit" in again["basis"]
    without = ask(client, driver, fit_head=False).json()["estimates"]["minutes"]
    assert 60 / 60 < without["value"] < again["value"]


def test_before_any_job_a_fit_is_counted_by_its_formula(client: TestClient, driver: Driver, database: Database) -> None:
    measured(database, {"cost": COST})
    fitted, without = (ask(client, driver, fit_head=fit).json()["estimates"]["minutes"] for fit in (True, False))
    # 1,000 passes of the student, and 300 evaluations of 4 x 900 samples x 512 features x 2 classes
    seconds = (1000 * COST["flops"] + 300 * 4 * 900 * 512 * 2) / throughput.CPU_FLOPS
    assert 60 * (fitted["value"] - without["value"]) == pytest.approx(seconds, rel=0.02)


def test_other_tenants_jobs_count_and_are_not_told(client: TestClient, driver: Driver, database: Database) -> None:
    """Speed is the machine's; neither a name nor an id of another job appears."""
    measured(database, {"cost": COST})
    succeeded(driver, database, 100.0, peak=1 << 20)
    with database.write() as session:
        session.query(Job).update({"name": "secret project"})
    text = ask(client, driver).text
    assert "1 earlier jobs" in text
    assert "secret" not in text
    assert DEFAULT_TENANT not in text


SMALL = st.integers(1, 10**6)
COSTS = st.builds(NetworkCost, SMALL, st.integers(1, 10**9), st.integers(8, 10**7), st.integers(1, 500))


def configured(epochs: int, batch: int, limit: int | None) -> DistillConfig:
    return DistillConfig.model_validate({"epochs": epochs, "batch_size": batch, "max_steps": limit})


CONFIGS = st.builds(configured, st.integers(1, 100), st.integers(1, 512), st.none() | st.integers(1, 1000))
WORK = st.builds(
    Workload,
    CONFIGS,
    COSTS,
    st.none() | COSTS,
    st.booleans(),
    SMALL,
    SMALL,
    SMALL,
    st.builds(SampleWork, st.integers(0, 10**4)),
    SMALL,
)


@given(WORK)
def test_more_of_anything_never_costs_less(work: Workload) -> None:
    cost = work.student
    larger = replace(
        work, student=NetworkCost(cost.parameters * 2, cost.flops * 2, cost.activation_bytes * 2, cost.modules)
    )
    for figure in (training_flops, other_flops, memory_bytes, disk_bytes):
        assert figure(larger) >= figure(work) > 0
    with_more = replace(work, input_bytes=work.input_bytes + 1)
    assert disk_bytes(with_more) == disk_bytes(work) + 1
    assert work.config.max_steps is None or work.steps <= work.config.max_steps


def test_a_fit_is_bounded_as_the_fit_itself_is() -> None:
    """The same samples as `most_samples` takes of a classifier of that width, and none where it fits none."""
    cost = NetworkCost(1, 1_000, 8, 1)
    for train, classes, steps in ((500, 2, 10), (50_000, 10, 100), (10**6, 10, 100_000), (10**6, 1_000, 10**5)):
        config = DistillConfig.model_validate({"batch_size": 10, "max_steps": steps, "epochs": 10**5})
        work = Workload(config, cost, None, False, train, 100, 100, SampleWork(0), classes=classes)
        used = most_samples(train, work.samples_seen, nn.Linear(estimate.HEAD_WIDTH, classes))
        passes, products = (used + 100) * cost.flops, 4 * used * estimate.HEAD_WIDTH * classes
        assert head_flops(work) == passes + estimate.HEAD_EVALUATIONS * products
        assert head_flops(replace(work, config=config.model_copy(update={"fit_head": False}))) == 0
        assert head_flops(replace(work, fits_head=False)) == 0
    few = Workload(config, cost, None, False, 10**6, 100, 100, SampleWork(0), classes=10_000)
    assert head_flops(few) == 0


@given(st.integers(10, 10**6), st.integers(1, 10**5), st.none() | st.integers(10, 10**6))
def test_splits_share_all_images_that_the_limit_leaves(train: int, test: int, limit: int | None) -> None:
    config = DistillConfig.model_validate({"train_limit": limit, "test_limit": 5})
    kept, held, tested = split_sizes(train, test, config)
    assert kept + held == min(train, limit or train)
    assert tested == min(test, 5)


def test_results_of_older_releases_are_no_evidence() -> None:
    runs = [
        Run("logit", STUDENT, {}, result, 10.0, None)
        for result in ({}, {"training": None}, {"student": {"flops": "x"}})
    ]
    assert throughput.seen(runs) == []


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("dry") / "data")
    yield service
    service.end()


#: How far the estimates of the tiny job below may be from what it then takes.
FACTOR = 3.0


@pytest.mark.slow
def test_the_estimate_of_a_tiny_job_is_near_what_it_takes(service: Service) -> None:
    """Run once, asked about, run again: memory, minutes and disk against what was measured."""
    client = service.client()
    config = {"recipe": "cross_entropy", "epochs": 15, "seed": 1}
    body = {"dataset": {"named": "digits"}, "student": STUDENT, "config": config}
    first = client.post("/jobs?dry_run=true", json=body).raise_for_status().json()["estimates"]
    assert "no job has been done" in first["minutes"]["basis"]
    memory, disk = first["memory_bytes"], first["disk_bytes"]
    done = run(client, body)
    peak = client.get(f"/jobs/{done['id']}/attempts").json()["items"][0]["peak_memory_bytes"]
    took = seconds_of(done) / 60
    print(f"before any job: {first['minutes']}, took {took:.2f} min; memory {memory}, peak {peak}; disk {disk}")
    assert first["minutes"]["low"] <= took <= first["minutes"]["high"]
    assert memory["low"] <= peak <= memory["high"]
    stored = stored_bytes(Path(service.log.with_suffix("")), done["id"])
    assert stored < disk["high"]  # the store's half; the scratch folder is gone
    again = body | {"config": config | {"seed": 2}}
    second = client.post("/jobs?dry_run=true", json=again).raise_for_status().json()["estimates"]
    assert "1 earlier jobs with this student" in second["minutes"]["basis"]
    took = seconds_of(run(client, again)) / 60
    print(f"after one job: {second['minutes']}, took {took:.2f} min")
    assert second["minutes"]["value"] / FACTOR <= took <= second["minutes"]["value"] * FACTOR
    client.close()


def test_a_real_worker_refuses_a_student_that_cannot_be_built(service: Service) -> None:
    client = service.client()
    body = {"dataset": {"named": "digits"}, "student": STUDENT | {"options": {"depth": 3}}}
    config = {"config": {"recipe": "cross_entropy"}}
    problem(client.post("/jobs?dry_run=true", json=body | config, timeout=within(120)), 422, "invalid_config")
    assert [job for job in client.get("/jobs").json()["items"] if job["status"] == "queued"] == []
    client.close()


def run(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    job = client.post("/jobs", json=body).raise_for_status().json()
    return wait_for(client, job["id"], 240, status="succeeded")


def seconds_of(job: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def stored_bytes(folder: Path, job_id: str) -> int:
    objects = FolderStore(folder / "objects")
    return sum(objects.size(key) for key in objects.keys(f"jobs/{job_id}/"))
