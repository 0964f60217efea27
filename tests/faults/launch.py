"""`python -m tests.faults.launch PROGRAM`: the real worker, whose trainers are a program of the tests.

Only the command that it starts is another; pool, supervisor, leases, Celery and settings are the product's.
"""

from __future__ import annotations

import functools
import sys

import worker.app
from worker.__main__ import main
from worker.slots.pool import SlotPool

if __name__ == "__main__":
    program = (sys.executable, "-m", "tests.faults.programs", sys.argv[1])
    no_inspector = (sys.executable, "-c", "")  # the template has the catalogue
    worker.app.SlotPool = functools.partial(SlotPool, trainer=program, inspector=no_inspector)  # type: ignore[misc,assignment]
    sys.argv = sys.argv[:1]
    main()
