"""`python -m tests.soak.launch`: the real worker, whose trainers are `tests.soak.program`."""

from __future__ import annotations

import functools
import sys

import worker.app
from worker.__main__ import main
from worker.slots.pool import SlotPool

if __name__ == "__main__":
    program = (sys.executable, "-m", "tests.soak.program")
    no_inspector = (sys.executable, "-c", "")  # the template has the catalogue
    pool = functools.partial(SlotPool, trainer=program, inspector=no_inspector)
    setattr(worker.app, "SlotPool", pool)  # noqa: B010 - a class by name, which a type checker would not have replaced
    main()
