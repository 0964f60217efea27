"""When a process of a group stands still: it waits in one call, computes nothing, and no byte moves."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.waiting import until
from worker.jobs.standstill import LOOK_SECONDS, Look, in_time, look, stood_still, traffic

BEFORE = Look((1, 8), "all_reduce of total (distill/processes.py:90)", 3.0, 100.0, ((7, 10, 20),))
AFTER = replace(BEFORE, cpu_seconds=3.01, at=100 + LOOK_SECONDS)


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({}, True),
        ({"call": (1, 12)}, False),  # another collective
        ({"call": None}, False),  # a file, the disk, a computation
        ({"cpu_seconds": 3.5}, False),  # a backward pass that computes
        ({"traffic": ((7, 10, 21),)}, False),  # a slow network
        ({"traffic": None}, False),  # bytes are on their way
    ],
)
def test_what_moves_does_not_stand_still(change: dict[str, Any], still: bool) -> None:
    assert stood_still(BEFORE, replace(AFTER, **change)) is still


def test_a_look_that_came_late_says_nothing() -> None:
    assert in_time(BEFORE, AFTER)
    assert not in_time(BEFORE, replace(AFTER, at=AFTER.at + 1))


def test_one_that_waits_for_no_other_process_is_at_no_call() -> None:
    assert look().call is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's counts of a connection")
def test_a_byte_that_comes_is_traffic() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            before = traffic()
            assert before is not None
            assert before == traffic()
            near.send(b"x")
            until(lambda: traffic() not in (None, before), 10)
