"""`retort demo` against a real server, its jobs played by `Driver`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Retort, Unreachable, demo, local_service
from client.errors import RetortClientError
from store.repositories import leases
from tests.api.driver import Driver, Inspector, refuse
from tests.api.test_registration import safetensors
from tests.client.conftest import Command


def report(accuracy: float) -> bytes:
    column = {"accuracy": {"value": accuracy}, "parameters": 1234}
    text = "The student does NOT beat it."
    return json.dumps({"student": column, "teacher": column, "comparison": None, "verdict": {"text": text}}).encode()


class Player:
    """Runs whatever is queued, as `Driver.succeed` does, with a report."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.hang, self.seen = driver, False, []  # type: ignore[var-annotated]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            with self.driver.database.read() as session:
                waiting = leases.queued(session)
            for job_id in waiting:
                self.seen.append(job_id)
                self._play(job_id)
            time.sleep(0.05)

    def _play(self, job_id: str) -> None:
        lease = self.driver.claim(job_id)
        if self.hang:
            return
        self.driver.score(lease)
        files = {"student.safetensors": safetensors(), "report.md": b"# r", "report.json": report(0.5)}
        for name, content in files.items():
            self.driver.artifact(lease, name, content)
        self.driver.finish(lease, "succeeded")


@pytest.fixture
def player(driver: Driver, inspector: Inspector) -> Iterator[Player]:
    player = Player(driver)
    yield player
    player.end()


@pytest.fixture
def predicting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real script needs a real student; this one only shows that it runs in a process of its own."""
    monkeypatch.setattr(demo, "PREDICT", "import os; print('process', os.getppid(), '@DATASET@')")


@pytest.mark.usefixtures("predicting")
def test_the_demo_trains_registers_distils_downloads_and_tells(
    command: Command, player: Player, tmp_path: Path
) -> None:
    code, out = command("demo", "-o", tmp_path / "out")
    assert code == 0, out
    assert len(player.seen) == 3
    assert "Accuracy on the untouched test set: 50.00 %" in out
    assert "fashion-mnist" in out
    assert "The student does NOT beat it." in out
    assert "retort jobs list" in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"student.safetensors", "report.md", "report.json", "predict.py"} | {
        f"q-curve.{f}" for f in demo.CURVES
    }
    with player.driver.database.read() as session:
        from store.tables import Job

        teacher, alone, student = (session.get_one(Job, job_id) for job_id in player.seen)
        assert (teacher.teacher_id, teacher.recipe) == (None, "cross_entropy")
        assert (alone.student, alone.recipe) == (student.student, "cross_entropy")
        assert (student.recipe, student.compare_with) == ("feature_only", alone.id)
        assert alone.config["max_steps"] == student.config["max_steps"]
        assert student.teacher_id is not None


@pytest.mark.usefixtures("predicting")
def test_without_fashion_mnist_it_takes_digits_and_says_so(
    command: Command, player: Player, inspector: Inspector, tmp_path: Path
) -> None:
    accept = inspector.verdict
    assert accept is not None
    inspector.verdict = lambda row: refuse(row) if row.name == "fashion-mnist" else accept(row)
    code, out = command("demo", "-o", tmp_path / "out")
    assert code == 0, out
    assert "fashion-mnist cannot be had here" in out
    assert "takes digits instead" in out


def test_interrupting_cancels_what_runs(
    command: Command, player: Player, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    player.hang = True

    def interrupted(retort: Any, console: Any, job_id: str, title: str) -> None:
        while not player.seen:
            time.sleep(0.05)
        threading.Thread(target=finish_cancelled, args=(job_id,)).start()
        raise KeyboardInterrupt

    def finish_cancelled(job_id: str) -> None:
        database = player.driver.database
        while True:
            with database.write() as session:
                from store.tables import Job

                job = session.get_one(Job, job_id)
                if job.status == "cancelling":
                    lease = leases.Lease(job_id, job.lease_token or "", job.attempt, "wrk_test")
                    leases.finish(session, lease, "cancelled", "cancelled")
                    return
            time.sleep(0.05)

    monkeypatch.setattr(demo, "watch", interrupted)
    code, out = command("demo", "-o", tmp_path / "out")
    assert (code, "Cancelling job_" in out) == (130, True)
    assert command("--json", "jobs", "list", "--status", "cancelled")[1].count('"id": "job_') == 1


def test_a_failed_job_ends_the_demo_with_its_error(
    command: Command, player: Player, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fault = {"code": "diverged", "message": "It diverged.", "remedy": "Train slower.", "fault": "user"}
    monkeypatch.setattr(
        Player, "_play", lambda self, job_id: self.driver.finish(self.driver.claim(job_id), "failed", fault)
    )
    code, out = command("demo", "-o", tmp_path / "out")
    assert (code, "It diverged." in out, "Train slower." in out) == (1, True, True)


SERVICE = """
import http.server, json, os, sys
assert sys.argv[1] == "serve"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"architectures": 1}).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer((os.environ["RETORT_HOST"], int(os.environ["RETORT_PORT"])), Handler).serve_forever()
"""


def test_a_service_of_our_own_ends_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.py").write_text(SERVICE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with local_service.running(tmp_path / "data", tmp_path / "log") as url, Retort(url) as retort:
        assert retort.catalogue() == {"architectures": 1}
    with Retort(url) as retort, pytest.raises(Unreachable):
        retort.dry_run()


def test_a_service_that_does_not_start_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.py").write_text("raise SystemExit('the port is taken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(RetortClientError, match="the port is taken"),
        local_service.running(tmp_path / "data", tmp_path / "log"),
    ):
        pass
