"""What a study has found: its table, front, importance and events. One study for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from store.repositories import study_events
from store.settings import Settings
from store.tables import Trial
from tests.api.checks import pointers, problem
from tests.api.modes import Service, serving
from tests.studies.support import accuracy_of, all_trials, end, play, stepped

RATE = "/config/learning_rate"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving("embedded", Settings(data_dir=folder / "data"), folder) as service:
        yield service


def moved_by_the_seed(trial: Trial) -> float:
    """Each configuration by another amount, so that no two differences to the base job are equal."""
    return accuracy_of(trial) + 0.00007 * trial.seed * trial.configuration


@pytest.fixture(scope="module")
def ended(service: Service) -> dict[str, Any]:
    """A study with two seeds; the runs of its first configuration diverged and stayed at chance."""
    wanted = {
        "base": {
            "dataset": service.driver.dataset(),
            "student": "retort:resnet8",
            "config": {"recipe": "cross_entropy", "epochs": 9},
        },
        "space": {RATE: {"low": 1e-4, "high": 1, "log": True}},
        "seeds": 2, "budget": {"trials": 14}, "name": "a | b",
    }  # fmt: skip
    study: dict[str, Any] = service.client.post("/studies", json=wanted).json()
    stepped(service.database, study["id"])
    for trial in all_trials(service.database, study["id"], "active"):
        accuracy = accuracy_of(trial) if trial.configuration == 0 else None
        end(service.database, trial.job_id or "", accuracy, ("diverged", "at_chance")[trial.seed])
    play(service.database, study["id"], moved_by_the_seed)
    return study


def test_the_table_tells_spreads_and_differences(service: Service, ended: dict[str, Any]) -> None:
    path = ended["links"]["table"]
    table = service.client.get(path).json()
    rows = {row["configuration"]: row for row in table["rows"]}
    assert (rows[1]["runs"]["diverged"], rows[1]["runs"]["at_chance"], rows[1]["runs"]["failed"]) == (1, 1, 2)
    assert (rows[1]["values"], rows[1]["difference"], rows[0]["difference"]) == ({}, None, None)
    assert table["rows"][-1]["configuration"] == 1  # without a value last
    means = [row["values"]["accuracy"]["mean"] for row in table["rows"][:-1]]
    assert means == sorted(means, reverse=True)
    assert table["comparisons"] == 5
    best = table["rows"][0]
    assert best["values"]["accuracy"]["n"] == best["difference"]["n"] == 2
    assert best["difference"]["low"] <= best["difference"]["mean"] <= best["difference"]["high"]
    assert {row["configuration"] for row in table["rows"] if row["test"]} == {0, table["result"]["winner"]}
    assert best["test"]["accuracy"]["n"] == 5  # two of the search, three that confirm


def test_the_table_has_forms_by_accept_and_by_query(service: Service, ended: dict[str, Any]) -> None:
    path = ended["links"]["table"]
    text = service.client.get(path, headers={"Accept": "text/csv"})
    assert text.headers["content-type"].startswith("text/csv")
    head, *lines = text.text.splitlines()
    assert head.startswith(f"configuration,{RATE},accuracy,accuracy_sd,accuracy_n,")
    assert len(lines) == 7
    page = service.client.get(f"{path}?format=markdown")
    assert page.headers["content-type"].startswith("text/markdown")
    assert page.text.startswith("# a \\| b\n")
    assert "| 0 (base job) |" in page.text
    assert "Bonferroni, 5" in page.text
    problem(service.client.get(path, headers={"Accept": "image/png"}), 406, "not_acceptable")


def test_the_pareto_front_is_what_nothing_else_beats(service: Service, ended: dict[str, Any]) -> None:
    path = ended["links"]["pareto"]
    shown = service.client.get(f"{path}?x=latency_ms").json()
    assert (shown["x"]["name"], shown["y"]["name"]) == ("latency_ms", "accuracy")
    front = [point for point in shown["points"] if point["best"]]
    assert [point["y"] for point in front] == [max(point["y"] for point in shown["points"])]  # all are as fast
    assert service.client.get(f"/jobs/{front[0]['job']}").status_code == 200
    assert service.client.get(path, headers={"Accept": "image/svg+xml"}).text.startswith("<?xml")
    assert service.client.get(f"{path}?format=png").content.startswith(b"\x89PNG")
    assert pointers(problem(service.client.get(f"{path}?y=beauty"), 422)) == {"/y"}


def test_importance_is_shared_by_the_places(service: Service, ended: dict[str, Any]) -> None:
    shown = service.client.get(ended["links"]["importance"]).json()
    assert (shown["objective"], shown["configurations"], shown["left_out"]) == ("accuracy", 5, [])
    assert shown["shares"] == {RATE: pytest.approx(1)}


def test_events_come_as_pages_and_as_a_stream_that_ends(service: Service, ended: dict[str, Any]) -> None:
    path = ended["links"]["events"]
    with service.database.read() as session:
        number = len(study_events.after(session, ended["id"], 0, 1000))
    page = service.client.get(f"{path}?limit=3").json()
    rest = service.client.get(f"{path}?cursor={page['next_cursor']}&limit=200").json()
    assert [event["seq"] for event in page["items"] + rest["items"]] == list(range(1, number + 1))
    sse = {"Accept": "text/event-stream"}
    with service.client.stream("GET", path, headers=sse | {"Last-Event-ID": str(number - 2)}) as answer:
        told = "".join(answer.iter_text())
    assert [line for line in told.splitlines() if line.startswith("id: ")] == [f"id: {number - 1}", f"id: {number}"]
    assert service.client.get(path, headers=sse | {"Last-Event-ID": str(number)}).status_code == 204
