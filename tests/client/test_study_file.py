"""`retort study --file` against a real server; trials' ends are played."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from client import study_file
from client.api import Retort
from client.commands.study import wanted
from client.one_at_a_time import one_at_a_time
from store.database import Database
from tests.api.driver import Driver, Inspector
from tests.api.test_registration import safetensors
from tests.client.conftest import Command
from tests.studies.support import accuracy_of, play

RATE = "/config/learning_rate"
Write = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study whose dataset is a file beside it."""
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"word {i},{i % 2}\n" for i in range(40)))
    base = {"dataset": {"file": "rows.csv", "name": "rows"}, "student": "retort:resnet8"}
    base |= {"config": {"recipe": "cross_entropy"}}
    body = {
        "base": base,
        "space": {RATE: {"choices": [0.01, 0.02, 0.03]}},
        "strategy": "grid",
        "seeds": 1,
        "confirm": 0,
    }
    path = tmp_path / "study.json"
    path.write_text(json.dumps(body | {"name": "which rate", "budget": {"trials": 2}}))
    return path


def run(
    command: Command, database: Database, retort: Retort, *arguments: Any, driver: Driver | None = None
) -> tuple[int, str]:
    """While it waits, the trials of its study are played, and by the `driver` the jobs of no study."""
    ended = threading.Event()

    def playing() -> None:
        while not ended.wait(0.05):
            for job in retort.jobs(["queued"]) if driver else ():
                if driver and job["name"] == "teacher":
                    driver.succeed(job["id"], safetensors())
            for study in retort.studies(["running"]):
                play(database, study["id"], accuracy_of)

    thread = threading.Thread(target=playing)
    thread.start()
    try:
        return command("study", *arguments)
    finally:
        ended.set()
        thread.join()


def test_a_file_is_searched_once_and_goes_on(
    command: Command, database: Database, retort: Retort, inspector: Inspector, driver: Driver, file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    output = tmp_path / "out"
    options = ("--file", file, "--output", output)
    code, printed = run(command, database, retort, *options)
    assert code == 0, printed
    written = json.loads((output / "study.json").read_text())
    assert (written["study"]["status"], written["study"]["name"]) == ("succeeded", "which rate")
    assert {row["configuration"] for row in written["table"]["rows"]} == {0, 1}
    assert len(written["trials"]) == 2
    assert (output / "study.md").read_text().startswith("# which rate")
    for name in ("figure.svg", "pareto.svg"):
        assert (output / name).read_bytes().startswith(b"<?xml")
    assert (output / "table.csv").read_text().startswith("configuration,")
    assert command("study", *options)[0] == 0  # it has ended: nothing is begun again
    assert [study["id"] for study in retort.studies()] == [written["study"]["id"]]
    assert len(list(retort.datasets())) == 1
    assert run(command, database, retort, *options, "--trials", "3")[0] == 0
    assert len(json.loads((output / "study.json").read_text())["trials"]) == 3
    code, printed = command("study", *options, "--seeds", "2")
    assert (code, "another file" in printed) == (1, True)


def test_what_is_not_there_is_told(command: Command, file: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").unlink()
    code, printed = command("study", "--file", file, "--output", tmp_path / "out")
    assert (code, "rows.csv" in printed) == (1, True)
    file.write_text("[]")
    assert command("study", "--file", file, "--output", tmp_path / "out")[0] == 1


def test_every_teacher_that_is_described_is_made_once(
    command: Command, database: Database, retort: Retort, inspector: Inspector, driver: Driver, file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """One of a job that has a teacher of its own, one that is there, and one that the space chooses."""
    (tmp_path / "t.safetensors").write_bytes(safetensors())
    checkpoint = {"file": "t.safetensors", "architecture": "timm:resnet34"}
    tuned = {"job": {"teacher": checkpoint, "student": "retort:resnet8", "config": {"recipe": "logit"}}}
    there = driver.teacher()
    body = json.loads(file.read_text())
    body["base"] |= {"dataset": {"named": "digits"}, "teacher": [tuned, there], "config": {"recipe": "logit"}}
    body["space"] = {"/teacher": {"choices": [there, checkpoint]}}
    file.write_text(json.dumps(body))
    code, printed = run(command, database, retort, "--file", file, "--output", tmp_path / "out", driver=driver)
    assert code == 0, printed
    (study,) = retort.studies()
    first, second = study["base"]["teacher"]
    (kept,), (chosen,) = study["space"]["/teacher"]["choices"]
    assert (second, kept) == (there, there)
    assert len({first, there, chosen}) == 3
    (trained,) = [job for job in retort.jobs() if job["name"] == "teacher"]
    assert trained["teacher"] not in (None, first, there)
    assert len(list(retort.teachers())) == 4  # there, of the file twice, of the job


def test_a_folder_keeps_to_its_service_and_one_process(
    command: Command, database: Database, retort: Retort, inspector: Inspector, driver: Driver, file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    output = tmp_path / "out"
    right = file.read_text()
    file.write_text(right.replace("grid", "luck"))
    assert command("study", "--file", file, "--output", output)[0] == 1
    file.write_text(right)  # put right it goes on with what was made
    assert run(command, database, retort, "--file", file, "--output", output)[0] == 0
    assert len(list(retort.datasets())) == 1
    note = output / study_file.NOTE
    made = json.loads(note.read_text())
    assert made["service"] == retort.url
    note.write_text(json.dumps(made | {"service": "http://elsewhere"}))  # the same one under another name
    assert command("study", "--file", file, "--output", output)[0] == 0
    note.write_text(json.dumps(made | {"service": "http://elsewhere", "study": "stu_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"}))
    code, printed = command("study", "--file", file, "--output", output)
    assert (code, "http://elsewhere" in printed) == (1, True)
    with one_at_a_time(output):
        code, printed = command("study", "--file", file, "--output", output)
    assert (code, "Another process" in printed) == (1, True)


def test_without_a_file_it_is_the_local_grid() -> None:
    assert wanted(["--url", "u", "-f", "s.json"])
    assert wanted(["--file=s.json"])
    assert not wanted(["--dataset", "digits", "--output", "out"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--file", "study.json", "--recipes", "all"), "/config/recipe"),
        (("--file=study.json", "--dataset=digits"), "base.dataset"),
        (("--dataset", "digits", "--trials", "3"), "--file"),
    ],
)
def test_options_of_the_other_kind_of_study_are_refused_with_what_takes_their_place(
    command: Command, arguments: tuple[str, ...], told: str
) -> None:
    code, printed = command("study", *arguments)
    assert code == 1
    assert told in printed
