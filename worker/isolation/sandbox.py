"""Run one of our own modules on untrusted input, in a process that can do little harm.

The child has its own session, an empty environment, no descriptors but its three standard ones, rlimits, no new
privileges, no capabilities, and dies with its parent. Where the kernel and the container allow it also has its own
user, mount, network, pid, IPC and host name namespaces over a root that holds only the interpreter, our packages and
the given paths; Landlock; and a seccomp allow-list. What was achieved is in the `Result` and in the log. Linux only.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from distill.errors import RetortError
from worker.isolation.plan import LAYERS, Isolation, Plan
from worker.watching.waiting import SAMPLE_SECONDS, Patience

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.insert(0, sys.argv[2]); from worker.isolation.launch import main; main(sys.argv[1])"
_ENVIRONMENT = {"LANG": "C.UTF-8", "HOME": "/", "OMP_NUM_THREADS": "1"}
_SETUP_IDLE_SECONDS = 60.0  # in which the child may do nothing before it has shut itself in
_OUTPUT_BYTES = 2**20  # of what the child prints, that much is read

Ending = Literal["exit", "signal", "idle", "cpu"]


class SandboxUnavailable(RetortError):
    """The child could not be started or shut in: the machine's fault, not the input's."""

    code = "sandbox_unavailable"


@dataclass(frozen=True, slots=True)
class Limits:
    """Rlimits of the child and the time it may take.

    `memory_bytes`: private writable memory (RLIMIT_DATA; a file that is mapped copy-on-write counts whole).
    `address_space_bytes`: RLIMIT_AS on top of that, for libraries.
    `cpu_seconds`: of processor time, s. `idle_seconds`: in which it may do nothing, in all, from when it is shut in, s
    (`worker.watching.waiting`): no time on the clock ends a child that works on a slow or busy machine.
    `file_bytes`: the largest file it may write. `open_files`, `threads`: counts.
    """

    memory_bytes: int = 2 * 2**30
    address_space_bytes: int = 16 * 2**30
    cpu_seconds: int = 120
    idle_seconds: float = 300.0
    file_bytes: int = 2**20
    open_files: int = 128
    threads: int = 64

    def rlimits(self) -> dict[str, tuple[int, int]]:
        """RLIMIT name -> (soft, hard). The CPU's hard limit is a second later: SIGXCPU first, then SIGKILL."""
        whole = self.memory_bytes + self.address_space_bytes
        equal = {"DATA": self.memory_bytes, "AS": whole, "FSIZE": self.file_bytes, "NOFILE": self.open_files}
        equal |= {"NPROC": self.threads, "CORE": 0}
        pairs = {name: (value, value) for name, value in equal.items()}
        return pairs | {"CPU": (self.cpu_seconds, self.cpu_seconds + 1)}


@dataclass(frozen=True, slots=True)
class Result:
    """How the child ended. `status`: its exit status, or -n after signal n. Output is cut at 1 MiB each."""

    status: int
    ending: Ending
    stdout: bytes
    stderr: bytes
    isolation: Isolation

    @property
    def succeeded(self) -> bool:
        return self.status == 0 and self.ending == "exit"


def run_sandboxed(
    module: str,
    arguments: Sequence[str] = (),
    *,
    read_only: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    limits: Limits | None = None,
    layers: Sequence[str] = LAYERS,
    require: Sequence[str] = (),
) -> Result:
    """Run `python -m module arguments` shut in, and wait for it; it is gone, with all its threads, on return.

    The child reads `read_only`, writes `writable` (files or folders; a file must exist) and nothing else of the
    machine's data. Its standard input is empty. `layers` are tried, those of `require` must hold.
    Raises `SandboxUnavailable` when the child cannot be shut in, or a required layer is missing; never because of
    what the child does: see `Result.ending` and `status`.
    """
    limits = limits or Limits()
    with (
        tempfile.TemporaryDirectory(prefix="retort-root-") as stage,
        _scratch() as out,
        _scratch() as err,
        _pipe() as pipe,
    ):
        plan = Plan(
            module, tuple(arguments), str(ROOT), _absolute(read_only), _absolute(writable),
            stage, os.getpid(), pipe[1], limits.rlimits(), tuple(layers),
        )  # fmt: skip
        status, timed_out = _run(plan, pipe[0], out, err, limits.idle_seconds)
        os.set_blocking(pipe[0], False)
        report, stdout, stderr = _read(pipe[0]), _head(out), _head(err)
    isolation = _isolation(report, timed_out, stderr)
    _check_layers(isolation, require)
    ending = _ending(status, timed_out)
    log.info("sandboxed %s ended by %s with status %d; held by %s", module, ending, status, isolation.summary())
    return Result(status, ending, stdout, stderr, isolation)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    pipe = os.pipe()
    try:
        yield pipe
    finally:
        for descriptor in pipe:
            os.close(descriptor)


def _read(descriptor: int) -> bytes:
    """The child's report, which it wrote whole (a pipe holds it) or not at all."""
    with suppress(BlockingIOError):
        return os.read(descriptor, 65536)
    return b""


def _scratch() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _absolute(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(str(path.resolve()) for path in paths)


def _run(plan: Plan, report: int, out: IO[bytes], err: IO[bytes], idle_seconds: float) -> tuple[int, bool]:
    """(status, whether it did nothing for too long)."""
    command = [sys.executable, "-I", "-B", "-c", _START, plan.to_json(), plan.root]
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_ENVIRONMENT, cwd="/",
            pass_fds=[plan.report_descriptor], start_new_session=True,
        )  # fmt: skip
        timed_out = not _wait(child, report, idle_seconds)
    except OSError as error:
        raise SandboxUnavailable(f"The sandbox could not be started: {error}.", "Look at the worker's log.") from error
    return _status(child.returncode), timed_out


def _wait(child: subprocess.Popen[bytes], report: int, idle_seconds: float) -> bool:
    """Wait for the child's end, then kill its group. False: it did nothing for too long, before its report or after."""
    descriptor = os.pidfd_open(child.pid)
    try:
        return _ready([descriptor, report], Patience(child.pid, _SETUP_IDLE_SECONDS)) and _ready(
            [descriptor], Patience(child.pid, idle_seconds)
        )
    finally:
        # Not reaped yet, so its group's number cannot be another's.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        os.close(descriptor)
        _await_group(child.pid)


def _ready(descriptors: Sequence[int], patience: Patience) -> bool:
    """Whether one of them became readable (a process: ended) before the patience was over."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    while (left := patience.left()) > 0:
        if poll.poll(min(left, SAMPLE_SECONDS) * 1000):
            return True
    return False


def _await_group(group: int, seconds: float = 2.0) -> None:
    """Wait until the child's descendants, killed with it, are gone. Zombies that init has not reaped yet count as
    gone."""
    end = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.005)


def _status(status: int) -> int:
    """-n for signal n, also where a waiting parent inside the pid namespace passed it on as 128 + n."""
    return 128 - status if status > 128 else status


def _head(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_OUTPUT_BYTES)


def _ending(status: int, timed_out: bool) -> Ending:
    if timed_out:
        return "idle"
    if status == -signal.SIGXCPU:
        return "cpu"
    return "signal" if status < 0 else "exit"


def _isolation(report: bytes, timed_out: bool, stderr: bytes) -> Isolation:
    if report:  # written as the last step before the module runs; the exit status is the module's to choose
        return Isolation.from_json(report.decode())
    why = "it hung" if timed_out else stderr.decode(errors="replace").strip()[-500:] or "it ended"
    raise SandboxUnavailable(f"The sandbox could not be set up: {why}", "Look at the worker's log and limits.")


def _check_layers(isolation: Isolation, require: Sequence[str]) -> None:
    missing = [layer for layer in require if not isolation.has(layer)]
    if missing:
        raise SandboxUnavailable(
            f"This machine gives the sandbox no {' and no '.join(missing)}.",
            "Run the worker on a kernel and a container profile that allow them, or do not require them.",
            {"missing": missing, "achieved": isolation.summary()},
        )
