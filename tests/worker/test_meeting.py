"""Launchers of one job on several hosts: two of them here, without a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from distill.types import Event
from store.settings import Settings
from tests.services.processes import free_ports
from tests.waiting import until
from worker.jobs.group import Meeting
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess

HOST = "127.0.0.1"


class Launched:
    """The launcher of a host with one rank."""

    def __init__(self, folder: Path, name: str, meeting: Meeting) -> None:
        command = (sys.executable, "-m", "tests.worker.groups", name, "1", *meeting.arguments)
        own = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        self.process = TrainerProcess(command, folder, child_environment(Settings(), own), mark=str(meeting))
        self.said: list[Event] = []

    def ended(self) -> int:
        until(self.process.exited, 240)
        self.process.end(0)
        self.hear()
        assert self.process.exit_code is not None
        return self.process.exit_code

    def hear(self) -> list[Any]:
        while self.process.events.bytes:
            told = self.process.events.get()
            assert told is not None
            self.said.append(told[0])
        return [event.data.get("message") for event in self.said]


def launched(tmp_path: Path, name: str) -> list[Launched]:
    folder = tmp_path / "job" / "1"
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    return [Launched(folder, name, Meeting(number, 2, f"{HOST}:{port}", HOST)) for number in range(2)]


@pytest.mark.timeout(600)
def test_ranks_of_two_launchers_are_one_group_and_the_first_speaks(tmp_path: Path) -> None:
    first, second = launched(tmp_path, "steps")
    try:
        until(lambda: "step 3" in first.hear(), 240)
        first.process.order("stop")
        second.process.order("stop")
        assert (first.ended(), second.ended()) == (0, 0)
        assert "heard by 2" in first.hear()
        assert not second.hear()
    finally:
        first.process.end(0)
        second.process.end(0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_rank_that_fails_is_named_by_its_number_among_all(tmp_path: Path) -> None:
    first, second = launched(tmp_path, "refuses")
    try:
        assert second.ended() == 1
        (failed,) = [event.data for event in second.said if event.kind == "failed"]
        assert (failed["code"], failed["details"]) == ("invalid_config", {"rank": 1, "processes": 2})
    finally:
        first.process.end(0)
        second.process.end(0)
