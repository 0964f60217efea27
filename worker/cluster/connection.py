"""Connected to a Ray cluster, for the time of a block. The worker itself never is: Ray ends a process whose cluster is
lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worker.errors import ClusterUnavailable

NAMESPACE = "retort"
ANSWER_SECONDS = 5.0
EXTRA = "pip install 'retort[worker,ray]'"
START = "ray start --address=HEAD:6379 --num-cpus=0"


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected to the cluster whose head is at `address` (host:port). Raises
    `ClusterUnavailable`."""
    try:
        import ray
    except ImportError as error:
        raise ClusterUnavailable("Ray is not installed in the worker's environment.", f"{EXTRA}.") from error
    _demand_answer(address)
    try:
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except Exception as error:  # Ray raises many kinds, RuntimeError and ConnectionError among them
        raise ClusterUnavailable(
            f"The Ray cluster at {address} does not take this worker: {_first_line(error)}",
            f"Start a node of the cluster on the worker's machine ({START}), with the same versions of Ray and Python.",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _demand_answer(address: str) -> None:
    """Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterUnavailable(
            f"No Ray cluster answers at {address}: {error}.",
            "Start its head, or set RETORT_RAY_ADDRESS to the head's host:port (6379 unless it was started otherwise).",
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
