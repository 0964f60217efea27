"""A service of our own for as long as a block runs: `retort serve` on a free port of the loopback address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx

from client.api import Retort
from client.errors import ProblemError, RetortClientError, Unreachable
from client.waiting import Life, until

STOP_QUIET_SECONDS = 60.0  # told to end, a service that does nothing for so long hangs

Say = Callable[[str], None]


@contextmanager
def running(data_dir: Path, log: Path, say: Say = lambda line: None) -> Iterator[str]:
    """The service's URL; when the block ends, however it ends, the service has ended too. When this process is killed,
    it ends by itself.

    Start and end may take any time while the process lives; `say` gets a line every 10 s meanwhile. Raises
    `RetortClientError` with the log's last lines when the process ends before it serves.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"RETORT_DATA_DIR": str(data_dir.absolute()), "RETORT_HOST": "127.0.0.1", "RETORT_PORT": str(port)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, so that the job can be cancelled before its service goes.
        process = subprocess.Popen(
            [sys.executable, "-m", "client", "serve", "--until-input-ends"],
            env=os.environ | settings,
            stdin=subprocess.PIPE,  # ours alone: it ends with us, however we end
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        life = Life(process, log)
        try:
            _await(life, url, say)
            yield url
        finally:
            _end(life, say)


def _await(life: Life, url: str, say: Say) -> None:
    """Until a worker has published what it can do: ready to answer is not yet ready to work."""
    answer = _ask(url)

    def ready() -> bool:
        nonlocal answer
        if not answer.done():
            return False
        if _ready(answer, life):
            return True
        answer = _ask(url)
        return False

    if not until(life, ready, "the service to start", say):
        raise _broken("The service ended before it was ready.", life)


def _ready(answer: Future[bool], life: Life) -> bool:
    """False while it does not answer or is not ready. Raises `RetortClientError` when it never will be."""
    try:
        found = answer.result()
    except Unreachable:
        return False
    except ProblemError as error:
        if error.status == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        raise _broken(f"The service runs, but does not serve: {error.message}", life) from error
    if not found:  # it answers only after its worker has tried to read them
        raise _broken("The service runs, but could not read which architectures this machine can build.", life)
    return True


def _broken(what: str, life: Life) -> RetortClientError:
    return RetortClientError(f"{what} Its last lines:\n{life.tail()}", f"See {life.log}.")


def _ask(url: str) -> Future[bool]:
    """Whether it has a catalogue, once it answers: in a thread, since a socket that listens is answered much later."""
    answer: Future[bool] = Future()

    def ask() -> None:
        try:
            with Retort(url, os.environ.get("RETORT_API_KEY") or None) as retort:
                answer.set_result(bool(retort.catalogue()["architectures"]))
        except Exception as error:  # whoever waits for the answer gets it
            answer.set_exception(error)

    Thread(target=ask, name="is the service ready?", daemon=True).start()
    return answer


def _end(life: Life, say: Say) -> None:
    """SIGTERM; SIGKILL to the whole group when it then hangs, or when the user interrupts once more."""
    process = life.process
    if not life.ended():
        process.terminate()
    try:
        ended = until(life, life.ended, "the service to end", say, STOP_QUIET_SECONDS)
    except BaseException:
        _kill(process)
        raise
    if not ended:
        _kill(process)
    assert process.stdin is not None
    process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
