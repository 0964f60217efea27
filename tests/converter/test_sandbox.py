"""What the sandboxed child can and cannot do, for every set of layers; each claim is checked where it is made."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.slowness import within
from worker.isolation import landlock, seccomp, syscalls
from worker.isolation.plan import LAYERS, Isolation, Plan
from worker.isolation.sandbox import ROOT, Limits, Result, SandboxUnavailable, run_sandboxed

TESTS = ROOT / "tests"
SETS = [LAYERS, ("namespaces",), ("landlock",), ("seccomp",), ()]


def probe(*actions: str, **options: Any) -> tuple[list[dict[str, Any]], Result]:
    """What each action came to, in the child."""
    read_only = [TESTS, *options.pop("read_only", [])]
    result = run_sandboxed("tests.converter.probe", actions, read_only=read_only, **options)
    return json.loads(result.stdout or b"[]"), result


@pytest.fixture(params=SETS, ids=lambda layers: "+".join(layers) or "rlimits")
def layers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback, and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    heard.append(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        stop.set()
        thread.join()


def test_no_network(layers: tuple[str, ...], listener: tuple[int, list[bytes]]) -> None:
    port, heard = listener
    (connected,), result = probe(f"connect|{port}", layers=layers)
    refused = result.isolation.no_network or result.isolation.landlock >= 4
    assert connected["ok"] is not refused
    time.sleep(0.3)
    assert heard == ([] if refused else [b"stolen"])  # without a layer it gets through: the test can tell


def test_no_credentials(layers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/d")
    (env, parent), result = probe("environment", f"read|/proc/{os.getpid()}/environ", layers=layers)
    assert set(env["value"]) <= {"LANG", "HOME", "OMP_NUM_THREADS", "LC_CTYPE"}
    if result.isolation.no_foreign_writes:
        assert not parent["ok"]


def test_only_standard_descriptors(layers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "held").write_text("x")
    with (tmp_path / "held").open() as held:
        os.set_inheritable(held.fileno(), True)
        (found,), _ = probe("descriptors", layers=layers)
    assert found["value"] == [0, 1, 2]


def test_writes_only_where_allowed(layers: tuple[str, ...], tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (tmp_path / "input").write_text("input")
    actions = [
        f"write|{inside / 'a'}",
        f"write|{outside / 'a'}",
        f"write|{tmp_path / 'input'}",
        "write|/usr/retort-test",
    ]
    results, result = probe(*actions, read_only=[tmp_path / "input"], writable=[inside], layers=layers)
    within, beyond, over, system = results
    Path("/usr/retort-test").unlink(missing_ok=True)
    assert within["ok"]
    assert (inside / "a").read_bytes() == b"x" * 10
    if result.isolation.no_foreign_writes:
        assert not beyond["ok"]
        assert not over["ok"]
        assert not system["ok"]
        assert not list(outside.iterdir())
        assert (tmp_path / "input").read_text() == "input"


def test_a_single_file_may_be_written(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch()
    (wrote, beside), result = probe(f"write|{target}", f"write|{tmp_path / 'other'}", writable=[target])
    assert wrote["ok"]
    assert target.stat().st_size == 10
    assert beside["ok"] is not result.isolation.no_foreign_writes


def test_reads_only_what_it_needs(layers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "other-tenant").write_text("private")
    given = tmp_path / "given"
    given.write_text("given")
    (allowed, other, passwd, env), result = probe(
        f"read|{given}", f"read|{tmp_path / 'other-tenant'}", "read|/etc/passwd", f"read|{ROOT / 'pyproject.toml'}",
        read_only=[given], layers=layers,
    )  # fmt: skip
    assert allowed["value"] == "given"
    for forbidden in (other, passwd, env):
        assert forbidden["ok"] is not result.isolation.no_foreign_writes


def test_etc_is_never_written(layers: tuple[str, ...]) -> None:
    (wrote,), result = probe("write|/etc/retort-test", layers=layers)
    Path("/etc/retort-test").unlink(missing_ok=True)
    assert not (wrote["ok"] and result.isolation.no_foreign_writes)


def test_no_programs_and_no_processes(layers: tuple[str, ...]) -> None:
    actions = ("execute|/bin/true", f"execute|{sys.executable}", f"replace_self|{sys.executable}", "fork", "thread")
    results, result = probe(*actions[:2], *actions[3:], layers=layers)
    binary, python, fork, thread = results
    if result.isolation.no_programs:
        assert not binary["ok"]
        assert not python["ok"]
        (replaced,), _ = probe(actions[2], layers=layers)
        assert not replaced["ok"]
    assert fork["ok"] is not result.isolation.seccomp
    assert thread["value"] == "ran"


def test_others_cannot_be_signalled(layers: tuple[str, ...]) -> None:
    (kill,), result = probe(f"kill|{os.getpid()}", layers=layers)
    if result.isolation.seccomp or "pid" in result.isolation.namespaces or result.isolation.landlock >= 6:
        assert not kill["ok"]


def test_torch_works_within(layers: tuple[str, ...]) -> None:
    (total,), result = probe("torch", layers=layers)
    assert total.get("value") == 1000.0, (total, result.stderr)


def test_memory_files_and_rlimits(tmp_path: Path, layers: tuple[str, ...]) -> None:
    limits = Limits(memory_bytes=256 * 2**20, file_bytes=2**16)
    results, result = probe(
        "allocate|100", "allocate|1000", f"grow|{tmp_path / 'a'}|{2**20}", "raise_limit",
        writable=[tmp_path], limits=limits, layers=layers,
    )  # fmt: skip
    small, large, grown, raised = results
    assert small["ok"]
    assert large["error"] == "MemoryError"
    assert grown["error"] == "OSError"
    assert (tmp_path / "a").stat().st_size <= 2**16
    assert not raised["ok"]
    assert set(result.isolation.rlimits) == {"DATA", "AS", "FSIZE", "NOFILE", "NPROC", "CORE", "CPU"}


def test_cpu_time_ends_it(layers: tuple[str, ...]) -> None:
    result = probe("spin", limits=Limits(cpu_seconds=1, idle_seconds=60), layers=layers)[1]
    assert (result.ending, result.status) == ("cpu", -signal.SIGXCPU)


def test_doing_nothing_ends_it(layers: tuple[str, ...]) -> None:
    result = probe("sleep|60", limits=Limits(idle_seconds=1.5), layers=layers)[1]
    assert result.ending == "idle"
    assert not result.succeeded


def test_working_for_longer_than_it_may_do_nothing_does_not_end_it() -> None:
    (answer,), result = probe("burn|2", limits=Limits(idle_seconds=0.5))
    assert answer["ok"]
    assert result.succeeded


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_is_reported(number: signal.Signals, layers: tuple[str, ...]) -> None:
    result = probe(f"kill_self|{int(number)}", layers=layers)[1]
    assert (result.ending, result.status) == ("signal", -number)


def test_exit_status_and_output_pass_through(layers: tuple[str, ...]) -> None:
    assert probe("exit|7", layers=layers)[1].status == 7
    result = run_sandboxed("tests.converter.probe", ["print|3000000"], read_only=[TESTS], layers=layers)
    assert len(result.stdout) <= 2**20
    assert result.ending == "exit"  # what it prints is limited like any file


def test_the_child_cannot_pass_its_end_off_as_ours(layers: tuple[str, ...]) -> None:
    for status in (1, 120, 255):
        assert probe(f"exit|{status}", layers=layers)[1].ending in ("exit", "signal")


def test_layers_are_reported_and_required() -> None:
    assert not any(run_sandboxed("this", [], layers=()).isolation.has(layer) for layer in LAYERS)
    with pytest.raises(SandboxUnavailable, match="no seccomp"):
        probe("environment", layers=("landlock",), require=("seccomp",))


def test_this_kernel_reports_what_it_has() -> None:
    isolation = probe("environment")[1].isolation
    assert bool(isolation.landlock) == bool(landlock.abi())
    assert isolation.seccomp == seccomp.supported()
    assert isolation.no_capabilities
    assert "rlimits" in isolation.summary()


def test_a_module_that_is_missing_is_an_exit_not_a_fault() -> None:
    result = run_sandboxed("worker.no_such_module")
    assert (result.status, result.ending) == (1, "exit")
    assert b"ModuleNotFoundError" in result.stderr or b"No module named" in result.stderr


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    call = "run_sandboxed('tests.converter.probe', ['sleep|100'], read_only=[ROOT / 'tests'])"
    code = f"from worker.isolation.sandbox import ROOT, run_sandboxed\n{call}"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    family: list[psutil.Process] = []
    end = time.monotonic() + within(30)
    while time.monotonic() < end and len(family) < 2:
        time.sleep(0.5)
        family = psutil.Process(parent.pid).children(recursive=True)
    assert family
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=within(10))
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    probe("environment")
    assert not list(tmp_path.iterdir())


def test_concurrent_children_do_not_meet(tmp_path: Path) -> None:
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(probe("list|/")[1])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.status for result in results] == [0] * 4


@pytest.mark.parametrize("machine", syscalls.MACHINES)
def test_the_filter_is_a_valid_program(machine: str) -> None:
    """Jumps stay within it, it ends in a verdict, and calls that open the world are not in the table."""
    lines = seccomp.program(machine, 42)
    assert len(lines) <= 4096
    for position, (code, yes, no, _) in enumerate(lines):
        if code in (0x15, 0x45):
            assert position + 1 + max(yes, no) < len(lines)
    assert lines[-1][0] == 0x06
    names = {"x86_64": {"socket": 41, "connect": 42, "execve": 59, "fork": 57, "ptrace": 101, "mount": 165, "bpf": 321}}
    names["aarch64"] = {"socket": 198, "connect": 203, "execve": 221, "ptrace": 117, "mount": 40, "bpf": 280}
    common = {"io_uring_setup": 425, "pidfd_open": 434, "execveat": 322 if machine == "x86_64" else 281}
    assert not set(syscalls.allowed(machine)) & {*names[machine].values(), *common.values()}


def test_landlock_rights_by_version() -> None:
    assert landlock.handled_rights(1) == 0x1FFF
    assert landlock.handled_rights(3) == 0x7FFF
    assert landlock.handled_rights(7) == 0xFFFF


def test_plan_and_report_survive_json() -> None:
    plan = Plan("m", ("a",), "/r", ("/i",), ("/o",), "/s", 1, 5, {"CPU": (1, 2)})
    assert Plan.from_json(plan.to_json()).to_json() == plan.to_json()
    isolation = Isolation(("user", "net"), True, 7, True, True, ("CPU",), ("why",))
    assert Isolation.from_json(isolation.to_json()) == isolation
    assert isolation.no_network
    assert isolation.no_programs
    assert not Isolation().no_network


REFUSING = {
    "no_user_namespaces": "echo 0 > /proc/sys/user/max_user_namespaces; exec $0 -c '{code}'",
    "no_namespaces": "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all $0 -c '{code}'",
}


@pytest.mark.parametrize("machine", REFUSING)
def test_on_machines_that_refuse_namespaces(machine: str) -> None:
    """As in containers: made by a user namespace that allows no further ones, the second without capabilities too."""
    call = 'run_sandboxed("tests.converter.probe", ["write|/usr/retort-test"], read_only=[ROOT / "tests"])'
    then = "print(r.isolation.to_json(), r.stdout.decode())"
    code = f"from worker.isolation.sandbox import ROOT, run_sandboxed; r = {call}; {then}"
    script = REFUSING[machine].format(code=code)
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, sys.executable],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        timeout=within(60),
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"cannot be set up here: {done.stderr[-200:]}")
    report, results = done.stdout.split(" [{", 1)
    isolation = Isolation.from_json(report)
    assert "user" not in isolation.namespaces
    assert bool(isolation.namespaces) is (machine == "no_user_namespaces")
    assert bool(isolation.problems) is (machine == "no_namespaces")
    assert isolation.seccomp == seccomp.supported()
    assert ('"ok": true' in results) is not isolation.no_foreign_writes
    Path("/usr/retort-test").unlink(missing_ok=True)
