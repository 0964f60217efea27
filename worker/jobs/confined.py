"""`python -m worker.jobs.confined [--group] FOLDER PROGRAM ...`: become PROGRAM, held as a trainer in FOLDER is.

For training programs of one's own on files of strangers, and to see what a trainer may do. `--group`: PROGRAM starts
several processes that speak with each other by loopback, as `python -m torch.distributed.run --standalone` does. What
holds is printed to standard error; PROGRAM is not started where less than all of it does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from distill.errors import RetortError
from worker.isolation.confinement import confine, of_job
from worker.isolation.required import GROUP, check_group, demand
from worker.jobs.trainer import INPUTS, WORK


def main(arguments: list[str]) -> None:
    group = arguments[:1] == [GROUP]
    folder, *command = arguments[int(group) :]
    isolation = confine(replace(of_job(Path(folder).absolute(), (WORK, INPUTS)), group=group))
    sys.stderr.write(f"held by {isolation.summary()}\n")
    sys.stderr.flush()
    try:
        demand(isolation)
        if group:
            check_group(isolation)
    except RetortError as error:
        sys.exit(f"{error.message} {error.remedy}")
    os.execv(command[0], command)  # noqa: S606 - what the caller asked for


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
