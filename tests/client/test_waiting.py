"""Waiting for a process: as long as it lives, with a line now and then, and its last lines when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client import Retort, local_service, transport, waiting
from client.errors import RetortClientError
from client.waiting import Life, until
from tests.client.test_demo import SERVICE

WORKS = "while True: pass"
SLEEPS = "import time; time.sleep(600)"
LETS_WORK = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKS!r}])"
WRITES = "import time\nwhile True: print('line', flush=True); time.sleep(0.2)"
LATE = "import time; print('importing', flush=True); time.sleep(1.5)"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SAY_SECONDS", 0.4)
    monkeypatch.setattr(waiting, "SAMPLE_SECONDS", 0.2)


@contextmanager
def living(program: str, log: Path) -> Iterator[Life]:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=output, start_new_session=True)
    try:
        yield Life(process, log)
    finally:
        local_service._kill(process)


@pytest.mark.parametrize("program", [WORKS, LETS_WORK, WRITES], ids=["works", "lets work", "writes"])
def test_signs_of_life_are_seen(program: str, tmp_path: Path) -> None:
    said: list[str] = []
    with living(program, tmp_path / "log") as life:
        assert until(life, lambda: len(said) >= 4, "it", said.append, quiet_seconds=1.2)
    assert all("Waiting for it, " in line and "works" in line for line in said)


@pytest.mark.parametrize("stopped", [False, True], ids=["sleeps", "stands still"])
def test_a_process_that_does_nothing_is_told_of_and_left_after_its_quiet_time(stopped: bool, tmp_path: Path) -> None:
    said: list[str] = []
    with living(SLEEPS, tmp_path / "log") as life:
        if stopped:
            life.process.send_signal(signal.SIGSTOP)
        assert not until(life, lambda: False, "it", said.append, quiet_seconds=1.5)
        assert not life.ended()
    assert "has done nothing" in said[-1]


def test_without_a_quiet_time_only_its_end_ends_the_wait(tmp_path: Path) -> None:
    with living(LATE, tmp_path / "log") as life:
        assert not until(life, lambda: False, "it", lambda line: None)
        assert life.ended()
        assert life.tail() == "importing"


def test_a_log_without_a_line_says_so(tmp_path: Path) -> None:
    with living("", tmp_path / "log") as life:
        assert until(life, life.ended, "its end", lambda line: None)
        assert life.tail() == "(it wrote nothing)"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is started in place of our service."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "client.py"


def test_a_service_that_starts_slowly_is_waited_for_and_told_of(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text(LATE + SERVICE)
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0.01)  # it is asked many times before it listens
    said: list[str] = []
    with local_service.running(tmp_path / "data", tmp_path / "log", said.append) as url, Retort(url) as retort:
        assert retort.catalogue() == {"architectures": 1}
    assert all(line.startswith("Waiting for the service to start, ") for line in said)
    assert len(said) >= 2


def test_a_service_that_stands_still_while_it_starts_is_waited_for(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text(LATE + SERVICE)
    said: list[str] = []
    started: list[subprocess.Popen[bytes]] = []

    def stop(life: Life) -> None:
        started.append(life.process)
        life.process.send_signal(signal.SIGSTOP)
        threading.Timer(2, life.process.send_signal, [signal.SIGCONT]).start()

    monkeypatch.setattr(local_service, "Life", lambda *given: [life := Life(*given), stop(life)][0])
    with local_service.running(tmp_path / "data", tmp_path / "log", said.append):
        assert started[0].poll() is None
    assert any("has done nothing" in line for line in said)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_service_that_is_killed_while_it_starts_leaves_its_last_lines(
    number: signal.Signals, program: Path, tmp_path: Path
) -> None:
    program.write_text(f"import os; print('importing torch', flush=True); os.kill(os.getpid(), {int(number)})")
    with (
        pytest.raises(RetortClientError, match=r"ended before it was ready.*\nimporting torch"),
        local_service.running(tmp_path / "data", tmp_path / "log"),
    ):
        pass


def test_a_service_that_can_build_nothing_is_not_waited_for(program: Path, tmp_path: Path) -> None:
    program.write_text("print('no catalogue: torch is broken', flush=True)" + SERVICE.replace(": 1}", ": 0}"))
    with (
        pytest.raises(RetortClientError, match=r"which architectures(.|\n)*torch is broken"),
        local_service.running(tmp_path / "data", tmp_path / "log"),
    ):
        pass


def test_a_service_that_hangs_at_its_end_is_killed(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVICE)
    monkeypatch.setattr(local_service, "STOP_QUIET_SECONDS", 0.6)
    lives: list[Life] = []
    monkeypatch.setattr(local_service, "Life", lambda *given: lives.append(Life(*given)) or lives[0])
    with local_service.running(tmp_path / "data", tmp_path / "log"):
        pass
    assert lives[0].process.returncode == -signal.SIGKILL
