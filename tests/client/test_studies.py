"""`retort studies` and the calls of Python against a real server; steps are made by hand."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from client.api import Retort
from store.database import Database
from tests.api.driver import Driver
from tests.client.conftest import Command
from tests.studies.support import accuracy_of, play

RATE = "/config/learning_rate"


@pytest.fixture
def job_id(driver: Driver) -> str:
    """A job to vary: plain training, whose seed gives way."""
    return driver.job(recipe="cross_entropy")


def test_a_study_of_a_job_from_its_beginning_to_its_end(
    command: Command, database: Database, job_id: str, tmp_path: Path
) -> None:
    vary = (
        "--vary",
        "config.learning_rate=[0.001, 0.03]",
        "--vary",
        '/config/layers={"low": 1, "high": 2, "integer": true}',
    )
    options = ("--job", job_id, *vary, "--strategy", "grid", "--seeds", "2", "--parallel", "2", "--confirm", "2")
    checked = json.loads(command("--json", "studies", "begin", *options, "--dry-run")[1])
    assert (checked["points"], checked["trials"]) == (4, 14)
    code, printed = command("--json", "studies", "begin", *options, "--name", "ours")
    study = json.loads(printed)
    assert (code, study["space"][RATE]) == (0, {"choices": [0.001, 0.03]})
    assert study["id"] in command("studies", "list")[1]
    assert "paused" in command("studies", "pause", study["id"])[1]
    assert "running" in command("studies", "resume", study["id"])[1]
    playing = threading.Thread(target=play, args=(database, study["id"], accuracy_of))
    playing.start()
    code, printed = command("studies", "watch", study["id"])
    playing.join()
    assert code == 0, printed
    assert "trial 0 (configuration 0, seed 0): succeeded" in printed
    assert "fresh seeds" in printed
    for name, begin in {"t.csv": b"configuration,", "t.md": b"# ours", "p.svg": b"<?xml"}.items():
        what = "pareto" if name.startswith("p") else "table"
        assert command("studies", what, study["id"], "-o", str(tmp_path / name))[0] == 0
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert_figure(command, study["id"], tmp_path)
    assert RATE in command("studies", "importance", study["id"])[1]
    assert "base job" in command("studies", "show", study["id"])[1]
    assert "job_" in command("studies", "trials", study["id"], "--state", "succeeded")[1]
    assert command("studies", "extend", study["id"], "--trials", "2")[0] == 1  # all of the grid was tried
    assert command("studies", "delete", study["id"])[0] == 0
    assert study["id"] not in command("studies", "list")[1]


def assert_figure(command: Command, study_id: str, folder: Path) -> None:
    """In the terminal, as JSON and in files, all by the service; a place that is not varied is refused."""
    asked = ("studies", "figure", study_id, "--x", "learning_rate", "--series", "layers")
    found = json.loads(command("--json", *asked)[1])
    assert {(line["label"], len(line["points"])) for line in found["lines"]} == {("1", 2), ("2", 2), ("auto", 0)}
    assert [each["why"] for each in found["left_out"]] == ["no_number"]  # the base job's is "auto"
    code, printed = command(*asked)
    assert (code, "0.03" in printed, " to " in printed) == (0, True, True)
    for name, begin in {"f.svg": b"<?xml", "f.png": b"\x89PNG", "f.csv": b"configuration,layers,"}.items():
        assert command(*asked, "--out", str(folder / name))[0] == 0
        assert (folder / name).read_bytes().startswith(begin)
    assert command(*asked, "--out", str(folder / "f.pdf"))[0] == 1
    code, printed = command("studies", "figure", study_id, "--x", "beauty")
    assert (code, "parameters" in printed) == (1, True)


def test_a_place_that_is_no_domain_is_told_before_anything_is_sent(command: Command, job_id: str) -> None:
    for text in ("config.layers", "config.layers=3", "config.layers={"):
        code, printed = command("studies", "begin", "--job", job_id, "--vary", text)
        assert (code, "config.layers" in printed or "JSON" in printed) == (1, True)


def test_the_python_calls_follow_a_study(retort: Retort, database: Database, driver: Driver) -> None:
    base: dict[str, Any] = {
        "dataset": driver.dataset(), "student": "retort:resnet8", "config": {"recipe": "cross_entropy"},
    }  # fmt: skip
    study = retort.create_study(base=base, space={RATE: {"choices": [0.01]}}, strategy="grid", seeds=1, confirm=0)
    play(database, study["id"], accuracy_of)
    assert retort.wait_for_study(study["id"])["status"] == "succeeded"
    assert [event["kind"] for event in retort.study_events(study["id"])][-1] == "status"
    assert [row["configuration"] for row in retort.study_table(study["id"])["rows"]] == [1, 0]
    assert {trial["state"] for trial in retort.study_trials(study["id"])} == {"succeeded"}
    assert retort.study_pareto(study["id"])["x"]["name"] == "bytes"
    retort.delete_study(study["id"])
    assert list(retort.studies()) == []
