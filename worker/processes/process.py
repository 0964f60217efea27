"""A trainer as its own session and process group: started, listened to, given orders, and verified gone."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from distill.types import Event
from worker.isolation.users import User
from worker.processes.events import Events
from worker.processes.lifeline import EVENTS_FD, ORDERS_FD
from worker.watching.survivors import MARK, descendants, kill_all

log = logging.getLogger(__name__)
TAIL_LINES, LINE_BYTES, EVENT_BYTES = 100, 4096, 1 << 26
NAME = "retort"  # of a user without an account, for libraries that ask
READ_SECONDS = 60.0  # for what is left in the pipes of the dead: more than 0 only where one of them does not die


class TrainerProcess:
    """`events` gives every event and, once the pipe is closed at the far end, None. `user`: whom it runs as, where not
    as we do; all that this user runs then ends with it. `patience_seconds`: least time from SIGTERM to SIGKILL, for one
    that has to end what runs on other machines. `mark`: what its processes are known by; the folder unless given."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        user: User | None = None,
        patience_seconds: float = 0,
        mark: str = "",
    ) -> None:
        self.events = Events()
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.exit_code: int | None = None
        self.peak_memory_bytes: int | None = None
        self._mark, self._user, self._patience = mark or str(folder), user, patience_seconds
        self.ordered: set[str] = set()
        self._start(command, folder, environment)

    def _start(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        (events, events_far), (orders_far, self._orders) = os.pipe(), os.pipe()
        own = {MARK: self._mark, EVENTS_FD: str(events_far), ORDERS_FD: str(orders_far)}
        own |= {"USER": NAME, "LOGNAME": NAME} if self._user else {}
        try:
            self._process = subprocess.Popen(
                [*command, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment) | own,
                pass_fds=(events_far, orders_far),
                start_new_session=True,
                **(self._user.starting() if self._user else {}),
            )
        except BaseException:
            os.close(events)
            os.close(self._orders)
            raise
        finally:
            os.close(events_far)
            os.close(orders_far)
        assert self._process.stdout is not None
        self._readers = [
            threading.Thread(target=self._read_events, args=(os.fdopen(events, "rb"),), daemon=True),
            threading.Thread(target=self._read_output, args=(self._process.stdout,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, order: str) -> bool:
        """Say `stop` or `handover`, once. True the first time."""
        if order in self.ordered:
            return False
        self.ordered.add(order)
        self.tell(order)
        return True

    def tell(self, line: str) -> None:
        """Write a line to the orders pipe: at most what a pipe holds while nobody reads, 64 KiB."""
        with suppress(BrokenPipeError):
            os.write(self._orders, line.encode() + b"\n")

    def exited(self) -> bool:
        """Whether the trainer itself has ended. It stays a zombie until `end`, so its number is not used again."""
        if self.exit_code is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self, grace_seconds: float) -> None:
        """SIGTERM to the group, up to `grace_seconds` for the trainer to go, SIGKILL to whatever is left of it, its
        children and their children, then wait until all are gone. Safe to call again."""
        if self.exit_code is not None:
            return
        grace_seconds = max(grace_seconds, self._patience)
        family = descendants(self.pid)
        if grace_seconds > 0 and not self.exited():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
            while not self.exited() and time.monotonic() < deadline:
                time.sleep(0.02)
            family += descendants(self.pid)
        self._signal(signal.SIGKILL)
        if left := kill_all(self._mark, self.pid, known=family, user=self._user.number if self._user else None):
            log.error("processes %s of %s do not die", left, self._mark)
        self._reap()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _reap(self) -> None:
        _, status, usage = os.wait4(self.pid, 0)
        self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_memory_bytes = usage.ru_maxrss * 1024
        self.events.lift()
        for reader in self._readers:
            reader.join(READ_SECONDS)
        os.close(self._orders)

    def _read_events(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(EVENT_BYTES):
                event = _parsed(line) if line.strip() else None  # blank: what follows a line that was cut off
                if event is not None:
                    self.events.put(event, len(line))
        self.events.close()

    def _read_output(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(LINE_BYTES):
                text = line.decode(errors="replace").rstrip()
                if text:
                    self.tail.append(text)


def _parsed(line: bytes) -> Event | None:
    try:
        said = json.loads(line)
        return Event(said["kind"], dict(said["data"]))
    except (ValueError, KeyError, TypeError) as error:
        log.warning("not an event (%s): %.200r", error, line)
        return None
