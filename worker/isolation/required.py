"""Whether this machine isolates trainers: tried in a process of its own, and demanded where the operator says so.

Trainers import it, so it imports nothing of the store.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import IsolationUnavailable
from worker.isolation import users
from worker.isolation.confinement import TEMPORARY, confine, exposing, of_job
from worker.isolation.plan import Isolation
from worker.isolation.users import User

if TYPE_CHECKING:
    from store.settings import Settings

REQUIRED, NAMED_SETS = "RETORT_REQUIRE_ISOLATION", "RETORT_NAMED_SETS"
"""What a trainer is told by its environment: whether to refuse work where it is not isolated, and the folders of this
machine's named sets."""

REMEDY = (
    "Run workers on Linux 5.13 or newer with Landlock, in a container whose seccomp profile lets Landlock's calls "
    "through (Docker 23 and newer do), and keep RETORT_DATA_DIR and the file of RETORT_DATABASE_URL out of Python's "
    "folders; or unset RETORT_REQUIRE_ISOLATION."
)
GROUP_REMEDY = (
    "Let the worker's container or machine make user and network namespaces (Linux: kernel.unprivileged_userns_clone "
    "and the container's seccomp and AppArmor profiles), or set RETORT_DEVICES_PER_SLOT=1."
)
GROUP = "--group"
_SECONDS = 120.0  # for Python to start and say so; the process is waited for no longer, dead or alive


def check(isolation: Isolation) -> None:
    """Raise `IsolationUnavailable` where this trainer is not isolated and must be."""
    if os.environ.get(REQUIRED) == "1":
        demand(isolation)


def demand(isolation: Isolation) -> None:
    """Raise `IsolationUnavailable` unless a trainer is isolated."""
    if not isolation.complete:
        why = "; ".join(isolation.problems) or isolation.summary()
        raise IsolationUnavailable(f"Trainers are not isolated here: {why}.", REMEDY, {"achieved": isolation.summary()})


def check_group(isolation: Isolation) -> None:
    """Raise `IsolationUnavailable` where several processes of a job could not speak with each other: a trainer has no
    sockets but in a network namespace of its own."""
    if isolation.seccomp and "net" not in isolation.namespaces:
        raise IsolationUnavailable(
            "Several processes of one job need a network namespace of their own, which this machine refuses.",
            GROUP_REMEDY,
            {"achieved": isolation.summary()},
        )


def demanded(settings: Settings) -> None:
    """Raise `IsolationUnavailable` where a worker with these settings must not start; call before it starts threads.
    User ids of trainers are this process's from then on."""
    users.join(settings)
    users.claim(settings)
    if settings.require_isolation:
        demand(survey(settings))
    if settings.devices_per_slot > 1:
        check_group(survey(settings, group=True))


def survey(settings: Settings, group: bool = False) -> Isolation:
    """What holds a trainer of a worker with these settings, or a `group` of several processes. Tried once a process,
    which has joined the trainers' users (`users.join`)."""
    private = (settings.data_dir.absolute(), settings.scratch, settings.database_file)
    user = users.inspector(settings)
    tried = _tried(user, settings.scratch if user else None, group)
    return exposing(tried, [path for path in private if path is not None])


@cache
def _tried(user: User | None, root: Path | None, group: bool) -> Isolation:
    command = [sys.executable, "-P", "-m", "worker.isolation.required", *([GROUP] if group else [])]
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]))
    environment = {name: value for name, value in os.environ.items() if name != "RETORT_DATA_DIR"}
    environment |= {"PYTHONPATH": path}
    try:
        with tempfile.TemporaryDirectory(prefix=".survey-", dir=root) as made:
            folder = Path(made) / "job" / "1"
            folder.mkdir(parents=True)
            users.passable(Path(made))
            users.grant(folder, user, [TEMPORARY])
            done = subprocess.run(
                [*command, str(folder)], capture_output=True, check=True, env=environment, timeout=_SECONDS,
                **(user.starting() if user else {}),
            )  # fmt: skip
        return Isolation.from_json(done.stdout.decode())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Isolation(problems=(f"could not be tried: {error}",))


def main(folder: Path, group: bool) -> None:
    """Be confined as a trainer is that works in this folder, and print what holds."""
    sys.stdout.write(confine(replace(of_job(folder, ()), group=group)).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[-1]), GROUP in sys.argv[1:-1])
