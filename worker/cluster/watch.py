"""`python -m worker.cluster.watch ADDRESS`: what the cluster has, a line of JSON every few seconds on standard output.

Ends with its worker: when standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from distill.errors import RetortError
from worker.cluster.connection import connected
from worker.cluster.devices import Devices

LOOK_SECONDS = 3.0


def main(address: str) -> int:
    """1: it could not connect; the line says why."""
    told = _own_output()
    threading.Thread(target=_follow, daemon=True).start()
    try:
        with connected(address) as ray:
            while True:
                _say(told, asdict(Devices.of(ray.nodes())))
                time.sleep(LOOK_SECONDS)
    except RetortError as error:
        _say(told, {"problem": error.message, "remedy": error.remedy})
        return 1


def _own_output() -> int:
    """The file descriptor of the lines. What else prints, Ray here or in a process of its own, goes to standard
    error."""
    told = os.dup(1)
    os.dup2(2, 1)
    return told


def _say(told: int, line: dict[str, Any]) -> None:
    os.write(told, json.dumps(line).encode() + b"\n")


def _follow() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
