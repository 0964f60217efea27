"""The few calls of libc and kernel that Python 3.11 does not offer. Each raises `OSError` with the kernel's errno."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
_KEEP_CAPABILITIES, _AMBIENT, _RAISE, _CLEAR = 8, 47, 2, 4  # PR_SET_KEEPCAPS; PR_CAP_AMBIENT with its operations
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
    _set_capabilities(0, 0)


def capabilities() -> frozenset[int]:
    """Numbers of the capabilities in this thread's effective set."""
    words = (ctypes.c_uint32 * 6)()
    _checked(_libc.capget((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), words), "capget")
    effective = words[0] | words[3] << 32
    return frozenset(number for number in range(64) if effective >> number & 1)


def become(user: int, groups: Iterable[int], kept: Iterable[int] = ()) -> None:
    """Be the user and the group of this number, with `groups` besides, and of all capabilities hold `kept` alone, of
    those that are held now. Programs that are started get them too (ambient set), until `keep_to_oneself`."""
    held = sorted(capabilities() & frozenset(kept))
    prctl(_KEEP_CAPABILITIES, 1)
    os.setgroups(sorted(groups))
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    bits = sum(1 << number for number in held)
    _set_capabilities(bits, bits)
    for number in held:
        prctl(_AMBIENT, _RAISE, number)


def keep_to_oneself() -> None:
    """No program that this thread starts gets a capability of it any more, unless it is root's."""
    prctl(_AMBIENT, _CLEAR)


def _set_capabilities(bits: int, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    words = [value >> shift & 0xFFFFFFFF for shift in (0, 32) for value in (bits, bits, inheritable)]
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)(*words)), "capset")


def tasks_of_user() -> int:
    """Threads that this user runs: outside a user namespace the kernel counts them all against RLIMIT_NPROC."""
    count, user = 0, os.getuid()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            count += len(list((folder / "task").iterdir())) if folder.stat().st_uid == user else 0
    return count
