"""Landlock: the kernel lets this process read some paths and write some, whatever its user may.

Needs no privilege, no namespace and works in containers: the layer that holds where `unshare` is refused.
From ABI 4 it also refuses TCP bind and connect, from 6 signals and abstract sockets to processes outside.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.isolation import libc

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION_QUERY = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER, _REMOVE_FILE, _MAKE_FILE = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
_REMOVE_FOLDER, _MAKE_FOLDER, _REFER = 1 << 4, 1 << 7, 1 << 13
_TRUNCATE, _CONTROL_DEVICE = 1 << 14, 1 << 15
_FILES_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _CONTROL_DEVICE  # rights that a file's rule may hold
_READ = _READ_FILE | _READ_FOLDER
_WRITE = _READ | _WRITE_FILE | _MAKE_FILE | _REMOVE_FILE | _TRUNCATE
SIGNALS_SCOPED = 6  # from this ABI on signals reach only processes that are held by the same rules
_RIGHTS_BY_ABI = (0, 13, 14, 15, 15, 16)  # how many bits of filesystem rights each ABI knows


def abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    try:
        return libc.syscall(_CREATE, None, 0, _VERSION_QUERY)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def handled_rights(version: int) -> int:
    """Bits of all the filesystem rights that ABI `version` can take away."""
    return (1 << _RIGHTS_BY_ABI[min(version, len(_RIGHTS_BY_ABI) - 1)]) - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """What a process may still do with the file system and TCP. Paths that do not exist are left out.

    `read_only`: read below. `writable`: read, write, make and remove files below. `workspaces`: the same, and make and
    remove folders and move files between them. `listed`: names only. `by_name`: read files below whose names one knows.
    `devices`: read, write and control (ioctl).
    `programs`: execute. `tcp`: whether TCP stays open. Nothing else: no symbolic link, socket, pipe or device is made.
    """

    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    by_name: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    tcp: bool = False

    def granted(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Paths with their rights, as bits."""
        yield self.read_only, _READ
        yield self.writable, _WRITE
        yield self.workspaces, _WRITE | _MAKE_FOLDER | _REMOVE_FOLDER | _REFER
        yield self.listed, _READ_FOLDER
        yield self.by_name, _READ_FILE
        yield self.devices, _READ | _WRITE_FILE | _CONTROL_DEVICE
        yield self.programs, _EXECUTE | _READ


def restrict(rules: Rules) -> int:
    """Give up all that `rules` do not name. Returns the ABI used.

    Raises `OSError` where the kernel has no Landlock. Call after `no_new_privileges`, before other threads exist.
    """
    version = abi()
    if not version:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    ruleset = _ruleset(version, rules.tcp)
    try:
        for paths, rights in rules.granted():
            _allow(ruleset, paths, rights & handled_rights(version))
        libc.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _ruleset(version: int, tcp: bool) -> int:
    network, scopes = (3 if version >= 4 and not tcp else 0), (3 if version >= SIGNALS_SCOPED else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("QQQ", handled_rights(version), network, scopes)[:size]
    return libc.syscall(_CREATE, attributes, size, 0)


def _allow(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            granted = rights if os.path.isdir(path) else rights & _FILES_ONLY  # noqa: PTH112 - a plain string here
            rule = ctypes.create_string_buffer(struct.pack("=Qi", granted, descriptor))
            libc.syscall(_ADD_RULE, ruleset, 1, ctypes.cast(rule, ctypes.c_void_p), 0)
        finally:
            os.close(descriptor)
