"""A seccomp filter: the system calls of `worker.isolation.syscalls`, everything else answers EPERM.

Refused by that: socket, connect, execve, fork (a thread may start, a process may not), ptrace, mount, io_uring, bpf,
signals to other processes, changes of limits of others. Threads and children inherit it, and nothing lifts it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from worker.isolation import libc, syscalls

_LOAD, _JUMP_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x10000
_TERMINAL_IOCTLS = (0x5401, 0x5413, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX: what open() asks
_PRCTL_READS = (3, 16, 21, 23, 39)  # dumpable, name, seccomp, bounding set, no-new-privileges
_PRCTL_NAMES = (15, 0x53564D41)  # a thread's name, a mapping's name

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def supported() -> bool:
    """True where the table of calls fits this machine and this Python (a 32-bit one makes other calls)."""
    return platform.machine() in syscalls.MACHINES and struct.calcsize("P") == 8


def install() -> None:
    """Load the filter for this thread and all that come of it. Call before other threads exist. Raises `OSError`."""
    if not supported():
        raise OSError(errno.ENOSYS, f"no system call table for {platform.machine()}")
    code = b"".join(struct.pack("HBBI", *line) for line in program(platform.machine(), os.getpid()))
    filled = _Program(len(code) // 8, code)
    libc.prctl(libc.PR_SET_SECCOMP, 2, ctypes.cast(ctypes.pointer(filled), ctypes.c_void_p))


def program(machine: str, pid: int) -> list[Instruction]:
    """The BPF program: (code, jump if true, jump if false, constant)."""
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_JUMP_EQUAL, 1, 0, syscalls.MACHINES[machine])]
    lines += [(_RETURN, 0, 0, _KILL_PROCESS), (_LOAD, 0, 0, _NUMBER)]
    for name in ("clone3", "openat2"):
        # libc falls back to calls whose arguments a filter can see.
        lines += [(_JUMP_EQUAL, 0, 1, syscalls.inspected(name, machine)), _refuse(errno.ENOSYS)]
    lines += _if_call("clone", machine, [(_LOAD, 0, 0, _ARGUMENTS), (_JUMP_BITS, 0, 1, _CLONE_THREAD), _allow()])
    for name, position, values in _argument_rules(pid):
        lines += _if_call(name, machine, _one_of(position, values))
    for number in syscalls.allowed(machine):
        lines += [(_JUMP_EQUAL, 0, 1, number), _allow()]
    return [*lines, _refuse()]


def _argument_rules(pid: int) -> list[tuple[str, int, tuple[int, ...]]]:
    """(call, position of the argument, values that are allowed)."""
    return [
        ("kill", 0, (pid,)),
        ("tgkill", 0, (pid,)),
        ("prlimit64", 0, (0, pid)),
        ("ioctl", 1, _TERMINAL_IOCTLS),
        ("prctl", 0, _PRCTL_READS + _PRCTL_NAMES),
    ]


def _if_call(name: str, machine: str, body: list[Instruction]) -> list[Instruction]:
    body = [*body, _refuse()]
    return [(_JUMP_EQUAL, 0, len(body), syscalls.inspected(name, machine)), *body]


def _one_of(position: int, values: tuple[int, ...]) -> list[Instruction]:
    # The lower half of the argument: all of these are 32-bit for the kernel. Little-endian, as both machines are.
    tests = [line for value in values for line in ((_JUMP_EQUAL, 0, 1, value), _allow())]
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * position), *tests]


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def _refuse(number: int = errno.EPERM) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
