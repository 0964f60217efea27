"""`python -m tests.cluster.dies ... FOLDER`, in place of a host's launcher: tells of a rank that was killed."""

from __future__ import annotations

import signal
import sys

from distill.types import Event
from worker.jobs.exits import explain_rank
from worker.processes import lifeline

if __name__ == "__main__":
    lifeline.speaker()(Event("failed", explain_rank(-signal.SIGKILL, 3, 4)))
    sys.exit(1)
