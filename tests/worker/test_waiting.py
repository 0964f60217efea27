"""When a child is given up: real processes that work, sleep, pretend, stand still, or let others work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from store.settings import Settings
from tests.waiting import until
from worker.inspecting import process as inspecting
from worker.watching.survivors import descendants
from worker.watching.waiting import Patience

WORKS = "while True: pass"
SLEEPS = "import time; time.sleep(600)"
WAKES_NOW_AND_THEN = "import time\nwhile True: time.sleep(0.2)"
LETS_WORK = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKS!r}])"


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{program}"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        for child in (*descendants(process.pid), process):
            child.kill()
        process.wait()


@pytest.mark.parametrize("program", [SLEEPS, WAKES_NOW_AND_THEN], ids=["sleeps", "wakes now and then"])
def test_a_process_that_does_nothing_is_given_up(program: str) -> None:
    with running(program) as process:
        patience = Patience(process.pid, 1.5)
        until(lambda: patience.left() <= 0)


@pytest.mark.parametrize("program", [WORKS, LETS_WORK], ids=["works", "lets work"])
def test_a_process_that_works_is_not_whatever_the_clock_says(program: str) -> None:
    with running(program) as process:
        until(lambda: Patience(process.pid, 1).pid and (program is WORKS or descendants(process.pid)))
        patience = Patience(process.pid, 1)
        until(lambda: patience.left() < 0 or patience.cpu_seconds > 1.5)
        assert patience.left() > 0


def test_a_process_that_stands_still_uses_its_patience_up_and_no_more() -> None:
    with running(WORKS) as process:
        process.send_signal(signal.SIGSTOP)
        patience = Patience(process.pid, 1)
        until(lambda: patience.left() <= 0)
        process.send_signal(signal.SIGCONT)


def test_time_in_which_nobody_looked_counts_for_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept: the clock went on, nobody else did."""
    with running(SLEEPS) as process:
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        patience = Patience(process.pid, 100)
        now = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + 3600)
        assert patience.left() == 98


def test_an_inspector_at_the_end_of_its_processor_time_is_not_taken_for_one_without_memory() -> None:
    program = "from worker.inspecting.inspector import limit\nlimit(1)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGXCPU


@pytest.mark.parametrize(
    ("limit", "program", "said"),
    [("IDLE_SECONDS", SLEEPS, "did nothing"), ("CPU_SECONDS", WORKS, "processor time")],
    ids=["hangs", "never ends"],
)
def test_an_inspector_that_gives_no_answer_is_given_up_and_says_why(
    limit: str, program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, limit, 1.0)
    command = (sys.executable, "-c", program)
    answer = inspecting.run(command, "dataset", tmp_path, {}, Settings(data_dir=tmp_path), lambda: None)
    assert answer["error"]["code"] == "internal"
    assert said in answer["error"]["message"]
