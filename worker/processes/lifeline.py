"""The child's end of the two pipes between a worker and its trainer.

`events`: the child writes one JSON line an event. `orders`: the worker writes `stop` or `handover`; when the pipe
closes, the worker is gone (kill -9 included) and the child takes its whole process group with it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable

from distill.control import Control
from distill.types import Event

EVENTS_FD, ORDERS_FD = "RETORT_EVENTS_FD", "RETORT_ORDERS_FD"


def hold(control: Control) -> None:
    """Obey the orders pipe from a thread of its own. Without one (started by hand) nothing happens."""
    listen(lambda order: obey(control, order))


def listen(act: Callable[[str], None], descriptor: int | None = None) -> None:
    """Give every order of a pipe, the worker's where none is named, to `act`, from a thread of its own. When the pipe
    ends, the process group ends."""
    told = os.environ.pop(ORDERS_FD, None)
    if descriptor is None and told is not None:
        descriptor = int(told)
    if descriptor is not None:
        os.set_inheritable(descriptor, False)
        threading.Thread(target=_listen, args=(descriptor, act), daemon=True, name="lifeline").start()


def _listen(descriptor: int, act: Callable[[str], None]) -> None:
    with os.fdopen(descriptor, "rb", buffering=0) as orders:
        while line := orders.readline():
            act(line.decode().strip())
    os.killpg(0, signal.SIGKILL)


def obey(control: Control, order: str) -> None:
    if order == "stop":
        control.stop = True
    elif order == "handover":
        control.handover = True


def events_descriptor() -> int:
    """Of the events pipe that the worker named; standard output where there is none. Once: the name goes."""
    return int(os.environ.pop(EVENTS_FD, "1"))


def speaker(descriptor: int | None = None) -> Callable[[Event], None]:
    """A function that writes an event as one line to a pipe, the events pipe where none is named.

    The pipe is not standard output, so that no library's printing can corrupt it.
    """
    descriptor = events_descriptor() if descriptor is None else descriptor
    if descriptor > 2:
        os.set_inheritable(descriptor, False)
    lock = threading.Lock()

    def say(event: Event) -> None:
        line = json.dumps({"kind": event.kind, "data": event.data}, default=str).encode() + b"\n"
        with lock:
            while line:
                line = line[os.write(descriptor, line) :]

    return say
