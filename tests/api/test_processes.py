"""How many processes and hosts a job asks for: stored, shown, refused by what live workers have."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from store.database import Database
from store.repositories import leases, system
from store.tables import Dataset, Worker
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

POINTER = "/resources/processes"


def lives(database: Database, *devices: int) -> None:
    """Workers whose slots have so many devices; 0: a worker of an earlier release, which says nothing."""
    for number, each in enumerate(devices):
        info = {"devices_per_slot": each} if each else {}
        worker = Worker(id=f"wrk_{number}", hostname="h", pid=1, slots=1, info=info)
        with database.write() as session:
            system.register_worker(session, worker)


def body(driver: Driver, processes: Any = ..., batch_size: int = 64) -> dict[str, Any]:
    resources = {} if processes is ... else {"resources": {"processes": processes}}
    config = {"recipe": "cross_entropy", "batch_size": batch_size}
    return {"dataset": driver.dataset(), "student": "retort:resnet8", "config": config} | resources


@pytest.mark.parametrize(("asked", "kept"), [(..., 1), (1, 1), (4, 4), ("auto", "auto")])
def test_what_is_asked_for_is_kept_and_shown(
    client: TestClient, driver: Driver, database: Database, asked: Any, kept: Any
) -> None:
    lives(database, 0, 4)
    made = client.post("/jobs", json=body(driver, asked))
    assert made.status_code == 202, made.text
    shown = client.get(f"/jobs/{made.json()['id']}").json()
    assert (shown["resources"], shown["waiting_for"]) == ({"processes": kept, "hosts": 1, "sharding": "none"}, None)


@pytest.mark.parametrize(("asked", "more"), [(1, 0), (2, 1), ("auto", 1)])
def test_a_dry_run_notes_that_its_figures_are_of_one_process(
    client: TestClient, driver: Driver, asked: Any, more: int
) -> None:
    plain, told = (client.post("/jobs?dry_run=true", json=body(driver, each)).json() for each in (1, asked))
    assert len(told["estimates"]["notes"]) == len(plain["estimates"]["notes"]) + more


@pytest.mark.parametrize("asked", [0, -1, 10**30, 1.5, "2", "all", True, None, [2]])
@pytest.mark.parametrize("path", ["/jobs", "/jobs?dry_run=true"])
def test_what_is_no_number_of_processes_is_refused(client: TestClient, driver: Driver, path: str, asked: Any) -> None:
    told = problem(client.post(path, json=body(driver, asked)), 422, "invalid_request")
    assert all(pointer.startswith("/resources/processes") for pointer in pointers(told))


@pytest.mark.parametrize("path", ["/jobs", "/jobs?dry_run=true"])
def test_more_than_any_live_worker_has_is_refused_with_what_there_is(
    client: TestClient, driver: Driver, database: Database, path: str
) -> None:
    lives(database, 0, 2, 1)
    told = problem(client.post(path, json=body(driver, 4)), 422, "too_few_devices")
    assert pointers(told) == {POINTER}
    assert told["details"] == {"processes": 4, "devices_per_slot": 2}


@pytest.mark.parametrize("path", ["/jobs", "/jobs?dry_run=true"])
@pytest.mark.parametrize("asked", [65, 2**31 - 1])
def test_more_than_a_job_may_have_is_refused_with_what_there_is(
    client: TestClient, driver: Driver, database: Database, path: str, asked: int
) -> None:
    told = problem(client.post(path, json=body(driver, asked)), 422, "too_few_devices")
    assert (pointers(told), told["details"]) == ({POINTER}, {"processes": asked, "devices_per_slot": None})
    lives(database, 2, 1)
    told = problem(client.post(path, json=body(driver, asked)), 422, "too_few_devices")
    assert told["details"] == {"processes": asked, "devices_per_slot": 2}
    assert "64" in told["detail"]
    assert "2 at most" in told["errors"][0]["message"] + told["remedy"]
    reaches(database, WIDE)
    told = problem(client.post(path, json=wide(driver, processes=asked, hosts=asked)), 422, "too_few_hosts")
    assert (pointers(told), told["details"]["hosts_there"]) == ({"/resources/hosts"}, 3)


def test_a_batch_that_processes_cannot_share_is_refused(client: TestClient, driver: Driver) -> None:
    told = problem(client.post("/jobs", json=body(driver, 3)), 422, "invalid_config")
    assert pointers(told) == {POINTER}


def test_only_a_worker_with_enough_devices_takes_the_job_and_until_then_it_says_what_it_waits_for(
    client: TestClient, driver: Driver, database: Database
) -> None:
    wide = client.post("/jobs", json=body(driver, 2)).json()["id"]  # no worker lives: nothing is known
    narrow = client.post("/jobs", json=body(driver)).json()["id"]
    automatic = client.post("/jobs", json=body(driver, "auto")).json()["id"]
    assert "no worker lives" in client.get(f"/jobs/{wide}").json()["waiting_for"]
    lives(database, 1)
    assert "1 device" in client.get(f"/jobs/{wide}").json()["waiting_for"]
    assert [client.get(f"/jobs/{each}").json()["waiting_for"] for each in (narrow, automatic)] == [None, None]
    with database.read() as session:
        assert set(leases.queued(session, processes=1)) == {narrow, automatic}
        assert set(leases.queued(session, processes=2)) == {wide, narrow, automatic}
    client.post(f"/jobs/{narrow}/cancel")
    client.post(f"/jobs/{automatic}/cancel")
    with database.read() as session:
        assert (leases.any_queued(session, processes=1), leases.any_queued(session, processes=2)) == (False, True)


def test_a_job_goes_on_with_the_resources_it_had(client: TestClient, driver: Driver, database: Database) -> None:
    lives(database, 2)
    first = client.post("/jobs", json=body(driver, "auto")).json()["id"]
    driver.succeed(first)
    for change, expected in (({}, "auto"), ({"resources": {"processes": 2}}, 2)):
        made = client.post(f"/jobs/{first}/extend", json={"epochs": 2} | change)
        assert made.status_code == 202, made.text
        assert made.json()["resources"] == {"processes": expected, "hosts": 1, "sharding": "none"}


# ---- networks in shares


def shared(driver: Driver, processes: Any = 2, sharding: Any = "full", **config: Any) -> dict[str, Any]:
    asked = body(driver, processes)
    asked["resources"]["sharding"] = sharding
    return asked | {"config": asked["config"] | config}


@pytest.mark.parametrize("processes", [2, "auto"])
def test_networks_in_shares_are_kept_as_asked(
    client: TestClient, driver: Driver, database: Database, processes: Any
) -> None:
    lives(database, 2)
    made = client.post("/jobs", json=shared(driver, processes))
    assert made.status_code == 202, made.text
    expected = {"processes": processes, "hosts": 1, "sharding": "full"}
    assert client.get(f"/jobs/{made.json()['id']}").json()["resources"] == expected
    driver.succeed(made.json()["id"])
    again = client.post(f"/jobs/{made.json()['id']}/extend", json={"epochs": 2})
    assert again.json()["resources"] == expected


@pytest.mark.parametrize("sharding", ["half", "", 1, True, None])
def test_what_is_no_sharding_is_refused(client: TestClient, driver: Driver, sharding: Any) -> None:
    told = problem(client.post("/jobs", json=shared(driver, sharding=sharding)), 422, "invalid_request")
    assert pointers(told) == {"/resources/sharding"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"processes": 1}, "/resources/sharding"), ({"compile": True}, "/config/compile"),
        ({"channels_last": True}, "/config/channels_last"),
    ],
)  # fmt: skip
def test_what_cannot_lie_in_shares_is_refused_by_name(
    client: TestClient, driver: Driver, changes: dict[str, Any], pointer: str
) -> None:
    assert pointers(problem(client.post("/jobs", json=shared(driver, **changes)), 422, "invalid_config")) == {pointer}


def test_a_recipe_that_runs_parts_of_the_teacher_is_refused_in_shares(client: TestClient, driver: Driver) -> None:
    asked = shared(driver, recipe="blockwise_logit") | {"teacher": driver.teacher()}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "invalid_config")) == {"/config/recipe"}


# ---- several hosts

TWO = {"processes": 4, "hosts": 2}
WIDE, NARROW = {"hosts": [2, 2, 1], "gpu": False, "cores": 1}, {"hosts": [2], "gpu": False, "cores": 1}
SILENT = {"problem": "No Ray cluster answers at head:6379.", "remedy": "Start its head."}


def reaches(database: Database, *clusters: dict[str, Any]) -> None:
    """Workers that say this of their clusters; {}: one that has none."""
    for number, cluster in enumerate(clusters):
        worker = Worker(id=f"wrk_c{number}", hostname="h", pid=1, slots=1, info={"cluster": cluster})
        with database.write() as session:
            system.register_worker(session, worker)


def wide(driver: Driver, **resources: Any) -> dict[str, Any]:
    return body(driver) | {"resources": resources}


@pytest.mark.parametrize("hosts", [0, -1, 10**30, 1.5, "2", "auto", True, None])
def test_what_is_no_number_of_hosts_is_refused(client: TestClient, driver: Driver, hosts: Any) -> None:
    told = problem(client.post("/jobs", json=wide(driver, processes=4, hosts=hosts)), 422, "invalid_request")
    assert all(pointer.startswith("/resources/hosts") for pointer in pointers(told))


@pytest.mark.parametrize("processes", [1, 3, "auto"])
def test_processes_that_hosts_cannot_share_are_refused(client: TestClient, driver: Driver, processes: Any) -> None:
    asked = wide(driver, processes=processes, hosts=2) | {"config": {"recipe": "cross_entropy", "batch_size": 48}}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "invalid_config")) == {POINTER}


@pytest.mark.parametrize("path", ["/jobs", "/jobs?dry_run=true"])
@pytest.mark.parametrize(
    ("clusters", "code", "there"),
    [(({},), "no_cluster", None), (({}, SILENT), "no_cluster", None), ((NARROW, SILENT, {}), "too_few_hosts", 1)],
)
def test_hosts_that_no_cluster_has_are_refused_with_what_there_is(
    client: TestClient, driver: Driver, database: Database, path: str, clusters: Any, code: str, there: int | None
) -> None:
    reaches(database, *clusters)
    told = problem(client.post(path, json=wide(driver, **TWO)), 422, code)
    assert pointers(told) == {"/resources/hosts"}
    assert told["details"].get("hosts_there") == there
    assert (SILENT["problem"] in told["detail"]) == (clusters == ({}, SILENT))


def test_a_dataset_that_stays_where_it_lies_is_read_by_several_hosts(
    client: TestClient, driver: Driver, database: Database
) -> None:
    asked = wide(driver, **TWO)
    with database.write() as session:
        session.execute(update(Dataset).where(Dataset.id == asked["dataset"]).values(shards={"count": 2}))
    for path, status in (("/jobs?dry_run=true", 200), ("/jobs", 202)):
        answer = client.post(path, json=asked)
        assert answer.status_code == status, answer.text


def test_only_a_worker_whose_cluster_has_the_hosts_takes_the_job(
    client: TestClient, driver: Driver, database: Database
) -> None:
    made = client.post("/jobs", json=wide(driver, **TWO))  # no worker lives: nothing is known
    assert made.status_code == 202, made.text
    job_id = made.json()["id"]
    assert made.json()["resources"] == TWO | {"sharding": "none"}
    reaches(database, NARROW)
    assert "2 hosts" in client.get(f"/jobs/{job_id}").json()["waiting_for"]
    with database.read() as session:
        for hosts, takes in (((), False), ((2,), False), ((4, 1), False), ((2, 2, 1), True), ((1, 2, 2), True)):
            assert leases.queued(session, hosts=hosts) == ([job_id] if takes else [])
            assert leases.any_queued(session, hosts=hosts) == takes
    with database.write() as session:
        system.note_cluster(session, "wrk_c0", WIDE)
    assert client.get(f"/jobs/{job_id}").json()["waiting_for"] is None
    assert client.post("/jobs", json=wide(driver, processes=6, hosts=3)).status_code == 422
