"""User ids of their own for processes that load strangers' files: one for all that inspect, one for each
slot, one for each predictor.

The kernel then refuses such a process the worker's secrets, its memory and environment and its signals, and the files
of other jobs, also where Landlock and seccomp are not there. A user has a group of the same number, of which the worker
is a member: so it reads and removes what a trainer made, and no trainer what another one has.
"""

from __future__ import annotations

import errno
import logging
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.errors import IsolationUnavailable
from worker.isolation import libc
from worker.isolation.confinement import gpu_devices
from worker.isolation.root import CAPABILITIES, TRAINER
from worker.watching.survivors import kill_all

if TYPE_CHECKING:
    from store.settings import Settings

log = logging.getLogger(__name__)
UMASK = 0o007  # of trainers: what they make is the worker's to read, too
_REACH = "import os, sys; os.chdir(sys.argv[1])"
_OPEN = "import os, sys; os.chmod(sys.argv[1], 0o660)"
_CLEAR = """
import os, shutil, sys
for folder, names, files in os.walk(sys.argv[1]):
    for name in names:
        try:
            os.chmod(os.path.join(folder, name), 0o700)
        except OSError:
            pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
_claims: dict[int, socket.socket] = {}


@dataclass(frozen=True, slots=True)
class User:
    """A user and its group, which have the same number and need no account."""

    number: int

    def starting(self) -> dict[str, Any]:
        """What `subprocess` needs to start a process of this user. Of the worker's groups it gets those of the GPUs'
        device files."""
        groups = {os.stat(device).st_gid for device in gpu_devices()} & set(os.getgroups())  # noqa: PTH116
        return {"user": self.number, "group": self.number, "extra_groups": sorted(groups - {0}), "umask": UMASK}


def inspector(settings: Settings) -> User | None:
    """None: inspectors run as the worker does."""
    return User(settings.trainer_uid) if settings.trainer_uid else None


def trainer(settings: Settings, slot: int) -> User | None:
    """None: trainers run as the worker does."""
    return User(settings.trainer_uid + 1 + slot) if settings.trainer_uid else None


def predictor(settings: Settings, seat: int) -> User | None:
    """None: predictors run as the worker does."""
    return User(settings.trainer_uid + 1 + settings.slots + seat) if settings.trainer_uid else None


def numbers(settings: Settings) -> range:
    """All user ids that this worker gives."""
    first, count = settings.trainer_uid, 1 + settings.slots + settings.predictors
    return range(first, first + count) if first else range(0)


def join(settings: Settings) -> None:
    """Make this process able to start processes of these users, and its folders passable for them. Again and again, if
    need be; before other threads exist, since what they start gets this thread's capabilities.

    Raises `IsolationUnavailable` where that cannot work. Nothing where trainers run as the worker does.
    """
    wanted = numbers(settings)
    if not wanted:
        return
    held = libc.capabilities()
    if missing := [name for name, capability in CAPABILITIES.items() if capability not in held]:
        raise _refused(settings, f"this process lacks the capabilities {', '.join(missing)}", _CAPABLE)
    if taken := list(_accounts(wanted)):
        raise _refused(settings, f"of the ids {wanted[0]} to {wanted[-1]} {taken[0]} is taken", _ELSEWHERE)
    os.setgroups(sorted({*os.getgroups(), *wanted}))
    libc.keep_to_oneself()
    settings.scratch.mkdir(parents=True, exist_ok=True)
    passable(settings.scratch)
    passable(settings.data_dir.absolute())  # for the named sets
    _reach(settings, User(wanted[0]), settings.scratch)


def claim(settings: Settings) -> None:
    """Hold the user ids until this process ends, and end what an earlier worker has left running as one of them.
    Raises `IsolationUnavailable` while another worker on this machine holds them."""
    for number in numbers(settings):
        if number in _claims:
            continue
        _claims[number] = mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0retort-user-{number}")  # gone with this process, however that ends
        except OSError as error:
            _claims.pop(number).close()
            raise _refused(settings, f"another worker here gives the user id {number}", _ELSEWHERE) from error
        kill_all("", user=number)


def passable(folder: Path) -> None:
    """Let others open files in the folder whose names they know and which are open to them. A folder that is not ours
    stays as it is."""
    with suppress(OSError):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode & 0o7777 | 0o001)


def grant(folder: Path, user: User | None, writable: Sequence[str] = ()) -> None:
    """Open a folder of ours, which nobody else can enter, to the user: to read, and the folders `writable` in it, made
    where they are not there, to write. An empty name is the folder itself. None as user: nothing."""
    if user is None:
        return
    opened = [folder / name for name in writable]
    for path in opened:
        path.mkdir(exist_ok=True)
    for path in (folder, *_below(folder)):
        within = any(path.is_relative_to(each) for each in opened)
        os.chown(path, -1, user.number, follow_symlinks=False)
        if path.is_dir():
            path.chmod(0o2770 if within else 0o2750)
        else:
            path.chmod(0o640)


def readable(path: Path) -> None:
    """Make a file that another user has made readable to us: libraries such as safetensors write files for their own
    user alone. That user opens it to its group. Raises `PermissionError` where it cannot."""
    facts = path.lstat()
    if facts.st_uid == os.geteuid() or facts.st_mode & 0o060 == 0o060:
        return
    try:
        _run(User(facts.st_uid), _OPEN, path)
    except subprocess.SubprocessError as error:
        raise PermissionError(errno.EACCES, "cannot be opened to the worker", str(path)) from error


def remove(folder: Path) -> None:
    """Remove the folder and what other users have made and closed in it: each removes its own."""
    shutil.rmtree(folder, ignore_errors=True)
    for number in _owners(folder) - {0, os.geteuid()}:
        with suppress(OSError, subprocess.SubprocessError):  # we may not: it was no trainer of ours
            _run(User(number), _CLEAR, folder)
    shutil.rmtree(folder, ignore_errors=True)


def _below(folder: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(folder):
        yield from (path for name in (*names, *files) if not (path := Path(parent, name)).is_symlink())


def _owners(folder: Path) -> set[int]:
    found = set()
    for path in (folder, *_below(folder)):
        with suppress(FileNotFoundError):
            found.add(path.lstat().st_uid)
    return found


def _accounts(users: Iterable[int]) -> Iterator[str]:
    for number in sorted(users):
        if number == os.geteuid():
            yield f"{number} (this worker's own)"
        with suppress(KeyError):
            yield f"{number} ({pwd.getpwuid(number).pw_name})"


def _reach(settings: Settings, user: User, folder: Path) -> None:
    try:
        _run(user, _REACH, folder)
    except subprocess.CalledProcessError as error:
        raise _refused(settings, f"user {user.number} cannot enter {folder}", _PASSABLE) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise _refused(settings, f"user {user.number} cannot start {sys.executable}: {error}", _PASSABLE) from error


def _run(user: User, code: str, path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", code, str(path)]
    subprocess.run(command, check=True, capture_output=True, cwd="/", env={}, **user.starting())


_CAPABLE = f"Start the worker with them (docker-compose.yml does), or set {TRAINER}=0: trainers then run as the worker."
_ELSEWHERE = f"Set {TRAINER} to the first of a row of user ids that nobody has."
_PASSABLE = (
    f"Others must be able to pass all folders above RETORT_SCRATCH_DIR and above Python (chmod o+x), and this machine "
    f"must know these user ids (a user namespace knows some only); or set {TRAINER}=0."
)


def _refused(settings: Settings, why: str, remedy: str) -> IsolationUnavailable:
    return IsolationUnavailable(f"{TRAINER} is {settings.trainer_uid}, but {why}.", remedy)
