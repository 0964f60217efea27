"""One of the processes of a group that trains one job (`worker.jobs.group`): it trains, and rank 0 speaks.

It is shut in as the launcher that started it. Where it fails it leaves its account in the file that torch's launcher
reads, and the launcher tells the worker.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

from distill.control import Control
from distill.errors import RetortError
from distill.types import Event
from worker.errors import Internal
from worker.isolation.confinement import TEMPORARY
from worker.jobs import standstill
from worker.jobs.trainer import explain, work
from worker.processes import lifeline

ACCOUNT = "TORCHELASTIC_ERROR_FILE"
LOST_SECONDS = 5.0
"""How long a rank waits with an error that nobody expected: where another rank is lost, its neighbours' collectives
fail, and the launcher ends them before they can be taken for the cause."""


def main(folder: str, events: Connection, orders: list[Connection]) -> None:
    """Train the job of the folder as the rank that the environment names. `orders`: a pipe for each rank; where it ends
    the launcher is gone, and so goes the group."""
    rank, control = int(os.environ["RANK"]), Control()
    own = orders[int(os.environ["LOCAL_RANK"])]
    lifeline.listen(lambda order: lifeline.obey(control, order), os.dup(own.fileno()))
    say = lifeline.speaker(os.dup(events.fileno())) if rank == 0 else _keep_quiet
    for pipe in (events, *orders):
        pipe.close()
    try:
        from distill.training import distributed

        with distributed.group(), _watched(Path(folder), rank):
            work(Path(folder), control, say)
        atexit.register(_end_at_once)
    except Exception as error:
        traceback.print_exc()
        found = explain(error)
        if isinstance(found, Internal):
            time.sleep(LOST_SECONDS)
        leave_account(found)
        sys.exit(1)


def _watched(folder: Path, rank: int) -> AbstractContextManager[None]:
    """Against a group that stands still. Over NCCL nothing tells one that does."""
    import torch.distributed as dist

    if dist.get_backend() != "gloo":
        return nullcontext()
    return standstill.watched(folder / TEMPORARY, rank, dist.get_world_size(), _give_up)


def _give_up(error: RetortError) -> None:
    """The main thread hears nothing any more."""
    leave_account(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _end_at_once() -> None:
    """All is done and said: threads of libraries that still run cannot fail any more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def leave_account(error: RetortError) -> None:
    """In the form that torch's launcher reads, with our own under `error`."""
    told = {"message": error.message, "timestamp": str(int(time.time())), "error": error.to_dict()}
    if path := os.environ.get(ACCOUNT):
        Path(path).write_text(json.dumps(told))


def _keep_quiet(event: Event) -> None:
    """Rank 0 says the same."""
