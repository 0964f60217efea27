"""What .ci/run does on a slow machine, function by function: the real script, with a `make` that only pretends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import slowness
from tests.slowness import within

ROOT = Path(__file__).resolve().parents[2]
LIMITS = ROOT / ".ci" / "limits.sh"
#: Writes down what it was asked for; ends as FAKE_MAKE says, a line a call: an exit status, `hang`, or failed tests.
MAKE = f"""#!{sys.executable}
import json, os, sys, time
from pathlib import Path
folder = Path(os.environ["FAKE"])
calls = folder / "calls"
number = len(calls.read_text().splitlines()) if calls.exists() else 0
with calls.open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
does = (os.environ.get("FAKE_MAKE", "").split(",") + ["0"] * 99)[number] or "0"
if does == "hang":
    time.sleep(600)
if does.startswith("failed="):
    cache = Path(".pytest_cache/v/cache")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(map(str, range(int(does[7:]))), True)))
    sys.exit(2)
sys.exit(int(does))
"""


class Shell:
    """`run(script)`: exit status and errors; `calls`: what `make` was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin" / "make").write_text(MAKE)
        (folder / "bin" / "make").chmod(0o755)

    def run(self, script: str, **variables: str) -> tuple[int, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        mine = {"PATH": path, "FAKE": str(self.folder), "RETORT_SLOWNESS": "1"} | variables
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail; . {LIMITS}; trap summary EXIT; {script}"],
            cwd=self.folder, env=os.environ | mine, capture_output=True, text=True, check=False, timeout=within(60),
        )  # fmt: skip
        return done.returncode, done.stderr

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return [" ".join(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_on_the_reference_machine_all_tests_run_at_once(shell: Shell) -> None:
    assert shell.run("tests") == (0, "")
    assert shell.calls == ["test ARGS="]


def test_on_a_slow_machine_the_core_runs_first_and_then_the_rest(shell: Shell) -> None:
    code, said = shell.run("tests", RETORT_SLOWNESS="10")
    assert code == 0
    assert "TOO SLOW FOR ALL TESTS: they may need 9000 s" in said
    assert [call.split()[1] for call in shell.calls] == [
        "ARGS=tests/quality", "ARGS=tests/store", "ARGS=tests/api", "ARGS=tests",
    ]  # fmt: skip
    assert "--ignore=tests/quality" in shell.calls[-1]
    assert "--ignore=tests/embedded" in shell.calls[-1]


def test_the_core_is_there() -> None:
    done = subprocess.run(["bash", "-c", f". {LIMITS}; echo ${{CORE[*]}}"], capture_output=True, text=True, check=True)
    assert all(list((ROOT / each).glob("test_*.py")) for each in done.stdout.split())


def test_a_failing_core_fails_and_nothing_runs_after_it(shell: Shell) -> None:
    code, _ = shell.run("tests", RETORT_SLOWNESS="10", FAKE_MAKE="0,failed=9")
    assert (code, len(shell.calls)) == (1, 2)


def test_a_core_that_is_not_over_in_time_fails(shell: Shell) -> None:
    code, said = shell.run("tests", RETORT_SLOWNESS="10", FAKE_MAKE="124")
    assert (code, len(shell.calls)) == (1, 1)
    assert "THE METRIC, THE LOSSES, TRAINING NOT OVER" in said


def test_a_core_for_which_no_time_is_left_fails(shell: Shell) -> None:
    code, said = shell.run("SECONDS=4100; tests", RETORT_SLOWNESS="10")
    assert (code, shell.calls) == (1, [])
    assert "LEFT OUT ON THIS MACHINE" in said


def test_what_else_is_not_over_in_time_is_left_out_loudly(shell: Shell) -> None:
    code, said = shell.run("tests", RETORT_SLOWNESS="10", FAKE_MAKE="0,0,0,124")
    assert code == 0, said
    assert "LEFT OUT ON THIS MACHINE (10 times slower than the reference): 1" in said
    assert said.rstrip().endswith("* SOME TESTS BEYOND THE CORE'S NOT TESTED")


def test_whole_jobs_follow_and_fail_as_the_suite_does(shell: Shell) -> None:
    assert shell.run("tests; whole_jobs") == (0, "")
    assert shell.calls == ["test ARGS=", "test-long ARGS="]
    assert shell.run("whole_jobs", FAKE_MAKE="0,0,failed=4")[0] == 1


@pytest.mark.parametrize(
    ("seconds", "does", "calls"),
    [("4000", "0", []), ("0", "124", ["test-long ARGS="])],
)
def test_whole_jobs_for_which_there_is_no_time_are_left_out_loudly(
    shell: Shell, seconds: str, does: str, calls: list[str]
) -> None:
    code, said = shell.run(f"SECONDS={seconds}; whole_jobs", FAKE_MAKE=does)
    assert (code, shell.calls) == (0, calls)
    assert "LEFT OUT ON THIS MACHINE" in said


@pytest.mark.parametrize(("failed", "again"), [(1, True), (3, True), (4, False)])
def test_a_few_failures_are_tried_once_more(shell: Shell, failed: int, again: bool) -> None:
    code, said = shell.run("tests", FAKE_MAKE=f"failed={failed},0")
    assert f"TESTS FAILED: {failed}" in said
    assert code == (0 if again else 1)
    assert len(shell.calls) == 1 + again
    assert not again or "--last-failed" in shell.calls[-1]


def test_what_takes_long_runs_where_it_fits_and_is_left_out_where_not(shell: Shell) -> None:
    script = "SECONDS=2000; long 'FAULTS WERE' 1500 make faults; long 'LATER WAS' 100 make later"
    assert shell.run(script) == (0, "")
    code, said = shell.run(script, RETORT_SLOWNESS="1.5")
    assert code == 0
    assert "FAULTS WERE NOT TESTED: it may need 2250 s" in said
    assert shell.calls == ["faults", "later", "later"]


@pytest.mark.parametrize(("does", "code", "calls"), [("1,0", 0, 2), ("1,3", 3, 2), ("0", 0, 1)])
def test_what_takes_long_may_fail_once(shell: Shell, does: str, code: int, calls: int) -> None:
    assert shell.run("long NAME 10 make it", FAKE_MAKE=does)[0] == code
    assert len(shell.calls) == calls


def test_what_takes_long_and_hangs_fails_and_is_not_tried_again(shell: Shell) -> None:
    code, said = shell.run("long NAME 1 make it", FAKE_MAKE="hang", BUDGET_SECONDS=f"{within(3):.0f}")
    assert (code, shell.calls) == (1, ["it"])
    assert "NAME NOT OVER after" in said


def test_the_machine_is_measured_and_limits_are_stretched(shell: Shell) -> None:
    script = f"cd {ROOT}; calibrate; echo $RETORT_SLOWNESS $NPM_SECONDS >&2"
    assert shell.run(script, RETORT_SLOWNESS="3.5")[1].split() == ["3.5", "350"]
    factor, seconds = shell.run(f"unset RETORT_SLOWNESS; {script}")[1].split()
    assert 1 <= float(factor) <= slowness.MOST
    assert abs(int(seconds) - 100 * float(factor)) < 1


def test_it_is_measured_again_before_what_takes_long_unless_the_figure_was_given(shell: Shell) -> None:
    (shell.folder / "bin" / "python3").write_text('#!/usr/bin/env bash\necho "${RETORT_SLOWNESS:-2.0}"\n')
    (shell.folder / "bin" / "python3").chmod(0o755)
    later = "RETORT_SLOWNESS=40; long IT 100 make it; echo $RETORT_SLOWNESS >&2"
    assert shell.run(f"unset RETORT_SLOWNESS; calibrate; {later}") == (0, "2.0\n")
    code, said = shell.run(f"calibrate; {later}", RETORT_SLOWNESS="50")
    assert (code, said.splitlines()[-1]) == (0, "40")


@pytest.mark.parametrize(
    ("seconds", "factor"),
    [(0.2, 1), (0.4, 1), (0.49, 1), (0.8, 2), (4, 10), (4000, 50)],
)  # fmt: skip
def test_slowness_is_at_least_one_and_has_an_end(
    seconds: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowness, "_go", lambda: seconds)
    assert slowness.measured() == pytest.approx(factor)
