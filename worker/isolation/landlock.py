"""Landlock: the kernel lets this process read some paths and write some, whatever its user may.

Needs no privilege, no namespace and works in containers: the layer that holds where `unshare` is refused.
From ABI 4 it also refuses TCP bind and connect, from 6 signals and abstract sockets to processes outside.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from worker.isolation import libc

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION_QUERY = 1
_WRITE_FILE, _READ_FILE, _READ_FOLDER, _REMOVE_FILE, _MAKE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
_TRUNCATE = 1 << 14
_FILES_ONLY = (1 << 0) | _WRITE_FILE | _READ_FILE | _TRUNCATE | (1 << 15)  # rights that a file's rule may hold
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


def restrict(read_only: Iterable[str], writable: Iterable[str], listed: Iterable[str] = ()) -> int:
    """Allow reading below `read_only`, reading and writing below `writable`, names only below `listed`, nothing else.
    Returns the ABI used.

    Raises `OSError` where the kernel has no Landlock. Nothing may be executed, linked or renamed across folders, and
    no device or socket made. Call after `no_new_privileges`; paths that do not exist are left out.
    """
    version = abi()
    if not version:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    ruleset = _ruleset(version)
    read = _READ_FILE | _READ_FOLDER
    try:
        _allow(ruleset, read_only, read)
        _allow(ruleset, listed, _READ_FOLDER)
        _allow(
            ruleset, writable, (read | _WRITE_FILE | _MAKE_FILE | _REMOVE_FILE | _TRUNCATE) & handled_rights(version)
        )
        libc.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _ruleset(version: int) -> int:
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
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
