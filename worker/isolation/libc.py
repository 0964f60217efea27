"""The few calls of libc and kernel that Python 3.11 does not offer. Each raises `OSError` with the kernel's errno."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int | ctypes.c_void_p) -> int:
    padded = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(ctypes.c_int(option), *padded), f"prctl {option}")


def syscall(number: int, *arguments: int | bytes | ctypes.c_void_p | None) -> int:
    """A raw system call: integers as long, bytes as char pointer, None as a null pointer."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *passed), f"system call {number}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    text = [value.encode() if value is not None else None for value in (source, target, kind)]
    data = options.encode() if options is not None else None
    _checked(_libc.mount(*text, ctypes.c_ulong(flags), data), f"mount {target}")


def unmount_lazily(target: str) -> None:
    _checked(_libc.umount2(target.encode(), ctypes.c_int(2)), f"umount {target}")


def die_with_parent() -> None:
    """SIGKILL when the thread that started this process is gone."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def no_new_privileges() -> None:
    """No set-user-id program gives rights any more; Landlock and seccomp ask for it."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Empty effective, permitted and inheritable sets: root is then a user like others, even outside a namespace."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def tasks_of_user() -> int:
    """Threads that this user runs: outside a user namespace the kernel counts them all against RLIMIT_NPROC."""
    count, user = 0, os.getuid()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            count += len(list((folder / "task").iterdir())) if folder.stat().st_uid == user else 0
    return count
