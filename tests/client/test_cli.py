"""The `retort` command."""

from __future__ import annotations

import json
import threading
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest

from client import cli, render
from client.cli import main
from client.types import Metric
from client.watch import Watch
from distill.types import Event
from tests.api.driver import Driver
from tests.api.test_registration import safetensors, zipped
from tests.client.conftest import Command

SYSTEM_FAULT = {
    "code": "oom",
    "message": "It broke.",
    "remedy": "Retry.",
    "fault": "system",
    "retryable": True,
    "details": {},
}


@pytest.mark.usefixtures("inspector")
def test_teachers_and_datasets(command: Command, driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(safetensors())
    (tmp_path / "d.zip").write_bytes(zipped())
    code, out = command(
        "--json", "teachers", "add", tmp_path / "m.safetensors", "-a", "resnet34", "-o", "width=8", "--label", "a=b",
        "--mean", "0.5,0.4,0.3", "--std", "0.2,0.2,0.2", "--input-size", "30x40", "--channel-order", "BGR",
    )  # fmt: skip
    assert code == 0, out
    teacher = json.loads(out)
    assert (teacher["architecture"]["options"], teacher["labels"]) == ({"width": 8}, {"a": "b"})
    told = {name: value for name, value in teacher["preprocessing"].items() if value is not None}
    assert told == {
        "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "input_size": [30, 40], "channel_order": "BGR"
    }  # fmt: skip
    assert command("teachers", "add", tmp_path / "m.safetensors", "-a", "resnet34", "--mean", "a,b")[0] == 1
    assert teacher["id"] in command("teachers", "list")[1]
    assert "timm:resnet34" in command("teachers", "show", teacher["id"])[1]
    assert command("teachers", "delete", teacher["id"]) == (0, f"deleted {teacher['id']}\n")
    for source in (
        ["--named", "digits"],
        [tmp_path / "d.zip"],
        ["--train", tmp_path / "d.zip", "--test", tmp_path / "d.zip"],
    ):
        code, out = command("--json", "datasets", "add", *source)
        assert code == 0, out
    dataset = json.loads(out)["id"]
    assert "archive" in command("datasets", "show", dataset)[1]
    assert command("datasets", "list")[1].count("dst_") == 3
    assert command("datasets", "delete", dataset)[0] == 0
    code, out = command("--json", "datasets", "add", tmp_path / "d.zip", "--pixel-range", "0", "4095")
    assert (code, json.loads(out)["pixel_range"]) == (0, [0, 4095])
    assert command("datasets", "add", "--named", "digits", "--pixel-range", "0", "4095")[0] == 1
    code, out = command("--json", "datasets", "add", tmp_path / "d.zip", "--box-format", "xywh_relative")
    assert (code, json.loads(out)["box_format"]) == (0, "xywh_relative")
    code, out = command("datasets", "add", "--url", "https://data.example.org/a.zip", "--sha256", "0" * 64)
    assert code == 1
    assert "does not allow calls to data.example.org" in " ".join(out.split())
    assert command("datasets", "add", "--url", "https://a.org/", "--named", "digits")[0] != 0
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    shards = [
        "--shards",
        "train=https://data.example.org/{0..3}.tar",
        "--shards",
        "test=https://data.example.org/4.tar",
    ]
    code, out = command("datasets", "add", *shards, "--classes", tmp_path / "names.txt")
    assert code == 1
    assert "does not allow calls to data.example.org" in " ".join(out.split())
    assert command("datasets", "add", *shards, "--named", "digits")[0] != 0
    assert command("datasets", "add", tmp_path / "d.zip", "--classes", tmp_path / "names.txt")[0] != 0
    assert command("datasets", "add", tmp_path / "d.zip", "--classes-from", "shards")[0] != 0
    assert "does not allow" in " ".join(command("datasets", "add", *shards, "--classes-from", "shards")[1].split())
    assert command("datasets", "add", tmp_path / "d.zip", "--decode", "all")[0] != 0
    assert "does not allow" in " ".join(command("datasets", "add", *shards, "--decode", "all")[1].split())
    assert command("datasets", "add", tmp_path / "d.zip", "--inspection", "sample")[0] != 0
    assert "does not allow" in " ".join(command("datasets", "add", *shards, "--inspection", "sample")[1].split())
    code, out = command("datasets", "inspect", "dst_none")
    assert code == 1
    assert "dst_none" in out


@pytest.mark.usefixtures("inspector")
def test_a_job_is_submitted_shown_acted_on_and_deleted(command: Command, driver: Driver, tmp_path: Path) -> None:
    arguments = ["-t", driver.teacher(), "-d", "digits", "-s", "resnet8", "-o", "width=8", "--set", "epochs=3"]
    arguments += ["--set", 'teacher_layers=["a"]', "--name", "n", "--label", "a=b", "-r", "feature_only"]
    code, out = command("--json", "jobs", "submit", *arguments)
    assert code == 0, out
    job = json.loads(out)
    assert (job["config"]["epochs"], job["config"]["teacher_layers"]) == (3, ["a"])
    assert (job["student"], job["labels"]) == ({"name": "retort:resnet8", "options": {"width": 8}}, {"a": "b"})
    (tmp_path / "job.json").write_text(
        json.dumps({"teacher": job["teacher"], "dataset": job["dataset"], "student": "resnet8"})
    )
    assert "valid" in command("jobs", "submit", "-f", tmp_path / "job.json", "--dry-run")[1]
    assert command("jobs", "list", "--label", "a=b", "--status", "queued")[1].count("job_") == 1
    assert "feature_only" in command("jobs", "show", job["id"])[1]
    assert command("jobs", "pause", job["id"]) == (0, f"{job['id']} is paused\n")
    assert command("jobs", "resume", job["id"])[1].endswith("is queued\n")
    assert command("jobs", "cancel", job["id"])[1].endswith("is cancelled\n")
    assert command("jobs", "delete", job["id"]) == (0, f"deleted {job['id']}\n")


def test_watching_a_job_shows_its_curve_and_ends_with_it(command: Command, driver: Driver) -> None:
    job_id = driver.job()
    thread = threading.Thread(target=lambda: (time.sleep(0.2), driver.succeed(job_id)))
    thread.start()
    code, out = command("jobs", "watch", job_id)
    thread.join()
    assert code == 0, out
    assert "Q curve: 4 layers from 100 samples" in out
    assert "layer3" in out
    assert "chosen by quality: layer2, layer3" in out
    assert f"retort download {job_id}" in out


def test_a_watched_job_as_json_is_nothing_but_json(
    url: str, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    assert main(["--url", url, "--json", "jobs", "watch", job_id]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["id"] == job_id
    assert "Q curve: 4 layers" in shown.err


def test_a_failed_job_is_an_error_by_whose_fault_it_is(command: Command, driver: Driver) -> None:
    job_id = driver.job()
    driver.finish(driver.claim(job_id), "failed", SYSTEM_FAULT)
    code, out = command("jobs", "watch", job_id)
    assert (code, "It broke." in out, "Retry." in out) == (2, True, True)
    cancelled = driver.job()
    driver.finish(driver.claim(cancelled), "cancelled")
    assert command("jobs", "watch", cancelled)[0] == 1


def test_the_curve_as_table_and_files(command: Command, driver: Driver, tmp_path: Path) -> None:
    job_id = driver.job()
    assert "No layer is scored yet." in command("q-curve", job_id)[1]
    driver.succeed(job_id)
    code, out = command("q-curve", job_id)
    assert (code, out.count("layer")) == (0, 5)
    assert "4 of 4 layers scored; * chosen by quality." in out
    for form, start in {"svg": b"<", "png": b"\x89PNG", "csv": b"", "json": b"{"}.items():
        assert command("q-curve", job_id, "-o", tmp_path / f"c.{form}")[0] == 0
        assert (tmp_path / f"c.{form}").read_bytes().lstrip().startswith(start)
    code, out = command("q-curve", job_id, "-o", tmp_path / "c.gif")
    assert (code, "svg" in out) == (1, True)


def test_downloads(command: Command, driver: Driver, tmp_path: Path) -> None:
    job_id = driver.job()
    code, out = command("download", job_id)
    assert (code, "no files yet" in out) == (1, True)
    driver.succeed(job_id, b"weights")
    assert command("download", job_id, "-o", tmp_path / "all")[0] == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "manifest.json",
        "manifest.json.minisig",
        "report.json",
        "report.md",
        "student.safetensors",
    ]
    assert command("download", job_id, "student", "-o", tmp_path / "s.safetensors")[0] == 0
    assert (tmp_path / "s.safetensors").read_bytes() == b"weights"
    assert command("download", job_id, "report", "-o", tmp_path / "r")[0] == 0
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["report.json", "report.md"]
    code, out = command("download", job_id, "none")
    assert (code, "report.json" in out) == (1, True)


def test_catalogue_and_status(command: Command, driver: Driver) -> None:
    assert "feature_only" in command("catalogue")[1]
    assert "procrustes" in command("catalogue", "losses")[1]
    assert command("catalogue", "architectures", "-s", "resnet3")[1].count("resnet") == 1
    assert "embedded" in command("status")[1]


def test_errors_are_a_sentence_a_remedy_and_an_exit_code(command: Command, driver: Driver) -> None:
    code, out = command("jobs", "show", "job_[none]")
    assert code == 1
    assert out.splitlines() == ["Error: There is no job 'job_[none]'.", "Try: GET /jobs lists the jobs there are."]
    code, out = command("jobs", "submit", "-d", "dst_x", "-s", "resnet88", "-r", "nothing")
    assert code == 1
    assert "/config/recipe" in out
    assert "/student" in out
    assert command("teachers", "add") == (1, command("teachers", "add")[1])
    assert command("jobs", "submit", "--label", "x")[0] == 1


def test_no_service_is_the_systems_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", "status"]) == 2
    assert "retort serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{oops", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"priority": NaN}', "NaN is no number"),
        (b"[1]", "no JSON object"),
        (b'"text"', "no JSON object"),
    ],
)
def test_a_body_that_is_none_is_said_so(command: Command, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_bytes(content)
    code, out = command("jobs", "submit", "-f", tmp_path / "job.json", "--dry-run", "--name", "x")
    assert (code, said in out, "--file" in out) == (1, True, True), out


@pytest.mark.usefixtures("inspector")
@pytest.mark.parametrize(
    ("student", "arguments", "made"),
    [
        ({"name": "resnet8", "options": {"width": 4}}, ["-o", "width=8"], ("retort:resnet8", {"width": 8})),
        ({"name": "resnet8", "options": {"width": 4}}, ["-s", "resnet14"], ("retort:resnet14", {"width": 4})),
        ({"name": "resnet8"}, ["-s", "resnet14", "-o", "width=8"], ("retort:resnet14", {"width": 8})),
        ("resnet8", ["-o", "width=8"], ("retort:resnet8", {"width": 8})),
        (None, ["-s", "resnet8"], ("retort:resnet8", {})),
    ],
)
def test_options_count_beside_a_file(
    command: Command, driver: Driver, student: Any, arguments: list[str], made: tuple[str, Any], tmp_path: Path
) -> None:
    body = {"dataset": {"named": "digits"}, "config": {"recipe": "cross_entropy", "epochs": 2}, "student": student}
    (tmp_path / "job.json").write_text(json.dumps(body))
    code, out = command("--json", "jobs", "submit", "-f", tmp_path / "job.json", "--set", "batch_size=8", *arguments)
    assert code == 0, out
    job = json.loads(out)
    assert (job["student"]["name"], job["student"]["options"]) == made
    assert [job["config"][name] for name in ("recipe", "epochs", "batch_size")] == ["cross_entropy", 2, 8]


@pytest.mark.parametrize(
    ("body", "arguments", "said"),
    [
        ({}, ["-o", "width=8"], "--student"),
        ({"student": [1]}, ["-o", "width=8"], "'student' is no JSON object"),
        ({"student": {"name": "resnet8", "options": [1]}}, ["-o", "width=8"], "'options' is no JSON object"),
        ({"config": [1]}, ["--set", "epochs=1"], "'config' is no JSON object"),
    ],
)
def test_options_that_have_no_place_are_refused(
    command: Command, body: Any, arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "job.json").write_text(json.dumps(body))
    code, out = command("jobs", "submit", "-f", tmp_path / "job.json", *arguments)
    assert (code, said in out) == (1, True), out


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_json_has_not_are_left_to_the_service(command: Command, driver: Driver, value: str) -> None:
    code, out = command("jobs", "submit", "-d", "digits", "-s", "resnet8", "--set", f"learning_rate={value}")
    assert (code, "Error:" in out) == (1, True), out


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8931", "http://127.0.0.1:8931"),
        ("localhost:8931", "http://localhost:8931"),
        ("retort.example", "http://retort.example"),
        ("ftp://a", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("http://[::1", "http://HOST:PORT"),
        ("", "http://HOST:PORT"),
    ],
)
def test_a_url_without_its_scheme_is_said_so(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "jobs", "list"]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("key", ["secret\n", "schlüssel"])
def test_a_key_that_no_header_carries_is_said_so(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--api-key", key, "jobs", "list"]) == 1
    assert "API key" in capsys.readouterr().err


def test_files_that_cannot_be_written_are_named(command: Command, driver: Driver, tmp_path: Path) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    (tmp_path / "taken").write_text("")
    for arguments in (
        ["q-curve", job_id, "-o", tmp_path / "none" / "c.svg"],
        ["download", job_id, "-o", tmp_path / "taken"],
    ):
        code, out = command(*arguments)
        assert (code, str(tmp_path) in "".join(out.split())) == (1, True), out


def test_commands_of_other_packages_are_attached_and_loaded_only_when_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [EntryPoint("hello", f"{__name__}:hello", cli.GROUP), EntryPoint("broken", "no_such_module:x", cli.GROUP)]
    monkeypatch.setattr(cli, "entry_points", lambda group: points if group == cli.GROUP else [])
    assert main(["--help"]) == 0
    assert "Say it." in capsys.readouterr().out
    assert main(["hello", "--loud", "there"]) == 0
    assert capsys.readouterr().out == "THERE\n"
    assert main(["hello", "--help"]) == 0
    assert "Say it." in capsys.readouterr().out
    assert main(["hello"]) == 1


def test_help_says_what_attached_commands_do_and_imports_none_of_them() -> None:
    given = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    points = [EntryPoint(name, value, cli.GROUP) for name, value in given["project"]["entry-points"][cli.GROUP].items()]
    summaries = {point.name: cli._summary(point) for point in points}
    assert {"serve", "score", "study", "doctor", "backup", "restore"} <= summaries.keys()
    assert not [name for name, text in summaries.items() if text.startswith("Of ") or not text.endswith((".", ":"))]


@click.command()
@click.argument("what")
@click.option("--loud", is_flag=True)
def hello(what: str, loud: bool) -> None:
    """Say it."""
    click.echo(what.upper() if loud else what)


def test_progress_shows_phase_share_and_time_left() -> None:
    from rich.console import Console

    console = Console(record=True, width=120, force_terminal=True)
    primary: Metric = {
        "name": "mean_iou", "label": "mean IoU", "unit": "share", "higher_is_better": True, "interval": True,
        "path": "mean_iou",
    }  # fmt: skip
    with Watch(console, "t", primary) as shown:
        events = [
            Event("phase", {"phase": "distilling"}),
            Event(
                "metrics",
                {"split": "validation", "values": {"mean_iou": 0.5, "loss": 0.9}, "step": 1, "epoch": 1.0},
            ),
            Event("progress", {"fraction": 0.25, "eta_seconds": 75.0}),
        ]
        for event in events:
            shown.see({"seq": None, "kind": event.kind, "data": event.data})
        (task,) = shown._progress.tasks
    assert (task.description, task.completed) == ("t distilling", 0.25)
    assert task.fields["note"] == "1 min 15 s left, validation mean IoU 50.00 %"


def test_sizes_ages_and_bars() -> None:
    assert [render.size(count) for count in (12, 1500, 2.5e9, 7e12)] == ["12 B", "1.5 kB", "2.5 GB", "7000.0 GB"]
    assert render.age(None) == ""
    assert render.age("2000-01-01T00:00:00Z").endswith("d ago")
    assert [len(render.bar(value, 2.0)) for value in (-1, 0, 1, 2)] == [0, 0, 12, 24]
    assert render.bar(1.0, 0.0) == ""
