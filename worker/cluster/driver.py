"""A job's trainer on several hosts: `python -m worker.cluster.driver HOSTS N FOLDER` runs FOLDER/spec.json by N ranks
on each of HOSTS hosts of the Ray cluster that RETORT_RAY_ADDRESS names.

This process trains nothing. What the worker sees is one trainer: events come on one pipe, orders reach every rank. When
it ends, Ray ends its actors, which are those of no other job, and each takes the processes of its host with it. FOLDER
is the same on every host (RETORT_RAY_SHARED_DIR).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.types import Event
from worker.cluster.connection import connected
from worker.cluster.host import COMMAND
from worker.cluster.team import Team
from worker.jobs.trainer import explain
from worker.processes import lifeline
from worker.processes.environment import ADDRESS

ENDED = 128 + signal.SIGTERM


def main(arguments: list[str], command: Sequence[str] = COMMAND) -> int:
    """0: done or handed over; 1: a `failed` event was said; 143: ended by SIGTERM, and nothing is left in the
    cluster. `command`: starts the processes of a host."""
    hosts, processes, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    say, team, early = lifeline.speaker(), list[Team](), list[str]()
    lifeline.listen(lambda order: team[0].order(order) if team else early.append(order))
    try:
        with connected(os.environ[ADDRESS]) as ray:
            signal.signal(signal.SIGTERM, _leave)  # Ray has put its own in its place
            team.append(Team(ray, hosts, processes, folder, say, command))
            for order in early:
                team[0].order(order)
            error = team[0].run()
    except Exception as refused:
        traceback.print_exc()
        error = explain(refused).to_dict()
    if error is None:
        return 0
    say(Event("failed", error))
    return 1


def _leave(*_: Any) -> None:
    """Through `finally`, once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(ENDED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
