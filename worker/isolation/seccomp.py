"""A seccomp filter: the system calls of `worker.isolation.syscalls`, everything else answers EPERM.

Refused by that: socket, connect, execve, fork (a thread may start, a process may not), ptrace, mount, io_uring, bpf,
signals to other processes, changes of limits of others. Threads and children inherit it, and nothing lifts it. A
trainer may do a little more (`Trainer`): start processes, which are held by the same filter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from worker.isolation import libc, syscalls

_LOAD, _JUMP_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x10000
_TERMINAL_IOCTLS = (0x5401, 0x5413, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX: what open() asks
_PRCTL_READS = (3, 16, 21, 23, 39)  # dumpable, name, seccomp, bounding set, no-new-privileges
_PRCTL_NAMES = (15, 0x53564D41)  # a thread's name, a mapping's name

_NEW_NAMESPACES = 0x7E020000  # clone's flags for any of them
_UNIX, _INET, _INET6, _NETLINK, _STREAM, _SEQPACKET = 1, 2, 10, 16, 1, 5
_AND, _TYPE_BITS = 0x54, 0xF  # of a socket's type, without its flags
_SET_FILTER, _NO_SPECULATION_COST, _SECCOMP = 1, 1 << 2, {"x86_64": 317, "aarch64": 277}

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a trainer's filter lets through that an inspector's does not, besides starting processes.

    `signals`: to any process, because something else (Landlock) keeps them within the job. `devices`: every ioctl, and
    the Unix sockets that CUDA's driver makes (SOCK_SEQPACKET: no server of ours or of the system speaks it).
    `sockets`: IP sockets; in a network namespace of its own, unless the processes of a job are on several hosts.
    """

    signals: bool = False
    devices: bool = False
    sockets: bool = False


def supported() -> bool:
    """True where the table of calls fits this machine and this Python (a 32-bit one makes other calls)."""
    return platform.machine() in syscalls.MACHINES and struct.calcsize("P") == 8


def install(trainer: Trainer | None = None) -> None:
    """Load the filter for this thread and all that come of it. Call before other threads exist. Raises `OSError`."""
    if not supported():
        raise OSError(errno.ENOSYS, f"no system call table for {platform.machine()}")
    code = b"".join(struct.pack("HBBI", *line) for line in program(platform.machine(), os.getpid(), trainer))
    filled = ctypes.cast(ctypes.pointer(_Program(len(code) // 8, code)), ctypes.c_void_p)
    # Before Linux 5.16 a filter would switch on a mitigation that slows all code down, unless told not to.
    flags = _NO_SPECULATION_COST if trainer else 0
    libc.syscall(_SECCOMP[platform.machine()], _SET_FILTER, flags, filled)


def program(machine: str, pid: int, trainer: Trainer | None = None) -> list[Instruction]:
    """The BPF program: (code, jump if true, jump if false, constant)."""
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_JUMP_EQUAL, 1, 0, syscalls.MACHINES[machine])]
    lines += [(_RETURN, 0, 0, _KILL_PROCESS), (_LOAD, 0, 0, _NUMBER)]
    for name in ("clone3", "openat2"):
        # libc falls back to calls whose arguments a filter can see.
        lines += [(_JUMP_EQUAL, 0, 1, syscalls.inspected(name, machine)), _refuse(errno.ENOSYS)]
    lines += _if_call("clone", machine, _threads() if trainer is None else _processes())
    for name, position, values in _argument_rules(pid, trainer):
        lines += _if_call(name, machine, _one_of(position, values))
    for name, body in _trainer_rules(trainer) if trainer else ():
        lines += _if_call(name, machine, body)
    for number in syscalls.allowed(machine, trainer is not None):
        lines += [(_JUMP_EQUAL, 0, 1, number), _allow()]
    return [*lines, _refuse()]


def _threads() -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS), (_JUMP_BITS, 0, 1, _CLONE_THREAD), _allow()]


def _processes() -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS), (_JUMP_BITS, 1, 0, _NEW_NAMESPACES), _allow()]


def _argument_rules(pid: int, trainer: Trainer | None) -> list[tuple[str, int, tuple[int, ...]]]:
    """(call, position of the argument, values that are allowed)."""
    rules: list[tuple[str, int, tuple[int, ...]]] = [("prlimit64", 0, (0, pid))]
    if trainer is None or not trainer.signals:
        own = (pid,) if trainer is None else (0, pid)  # 0: the process's own group
        rules += [("kill", 0, own), ("tgkill", 0, (pid,))]
    if trainer is None or not (trainer.devices or trainer.sockets):
        rules += [("ioctl", 1, _TERMINAL_IOCTLS)]
    more = () if trainer is None else (libc.PR_SET_PDEATHSIG,)
    return [*rules, ("prctl", 0, _PRCTL_READS + _PRCTL_NAMES + more)]


def _trainer_rules(trainer: Trainer) -> Iterator[tuple[str, list[Instruction]]]:
    """(call, what decides about it): sockets by family and type, and calls that are let through as they are."""
    yield "socketpair", _of_type(_STREAM, _SEQPACKET)
    families = [line for family in _families(trainer) for line in ((_JUMP_EQUAL, 0, 1, family), _allow())]
    sequenced = [(_JUMP_EQUAL, 0, 4, _UNIX), *_of_type(_SEQPACKET)] if trainer.devices else []
    yield "socket", [(_LOAD, 0, 0, _ARGUMENTS), *families, *sequenced]
    if trainer.signals:
        yield from (("kill", [_allow()]), ("tgkill", [_allow()]))
    if trainer.devices or trainer.sockets:
        yield "ioctl", [_allow()]


def _families(trainer: Trainer) -> tuple[int, ...]:
    return (_INET, _INET6, _NETLINK) if trainer.sockets else ()


def _of_type(*types: int) -> list[Instruction]:
    """Allow sockets of these types, whatever their flags."""
    tests = [line for kind in types for line in ((_JUMP_EQUAL, 0, 1, kind), _allow())]
    return [(_LOAD, 0, 0, _ARGUMENTS + 8), (_AND, 0, 0, _TYPE_BITS), *tests]


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
