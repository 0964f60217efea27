"""Own user, mount, network, pid, IPC and host name namespaces, and a root folder that holds only what is needed."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from distill import tasks
from worker.isolation import libc
from worker.isolation.plan import Plan

_USER = {"user": 0x10000000}
_OTHERS = {"mount": 0x00020000, "net": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000, "uts": 0x04000000}
_INNER_ID = 65534
_PRIVATE, _RECURSIVE, _BIND = 1 << 18, 1 << 14, 1 << 12
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - mounted over, not written to
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_INTERPRETER = ("bin", "lib", "lib32", "lib64", "share", "include", "pyvenv.cfg")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache")


def enter(names: Collection[str] = tuple(_OTHERS), inner_id: int = _INNER_ID) -> tuple[str, ...]:
    """Leave the machine's namespaces of these names for new ones; their names, () where the kernel or the container
    refuses. `inner_id`: what user and group are called inside.

    All or nothing, tried first in a process that is thrown away: a half-made set (a user namespace without rights, as
    AppArmor gives) would leave this process worse off. With a user namespace no privilege is needed; without one
    (root in a container that forbids them) root's own right does it. The pid namespace starts with the next fork.
    """
    others = {name: _OTHERS[name] for name in names}
    for wanted in (_USER | others, others):
        if _succeeds(lambda wanted=wanted: _unshare(wanted, inner_id)):  # type: ignore[misc]
            _unshare(wanted, inner_id)
            return tuple(wanted)
    return ()


def _unshare(wanted: dict[str, int], inner_id: int) -> None:
    user, group = os.geteuid(), os.getegid()
    libc.unshare(sum(wanted.values()))
    if "user" in wanted:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{inner_id} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{inner_id} {group} 1")
    libc.mount(None, "/", None, _RECURSIVE | _PRIVATE)


def _succeeds(attempt: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def readable_paths(plan: Plan) -> tuple[str, ...]:
    """What the child may read: the plan's inputs, the interpreter, its libraries, our own two packages and the page
    that a student is written into.

    Of the checkout and the environment only the packages: what lies beside them may be an `.env` file, or the data.
    The folder that `python -m` was called in is on the path and no place for packages.
    """
    homes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    interpreter = {f"{home}/{part}" for home in homes for part in _INTERPRETER}
    interpreter |= {path for path in sys.path if path not in ("", plan.root, str(Path.cwd()))}
    interpreter |= set(tasks.extensions())
    ours = {f"{plan.root}/{package}" for package in ("worker", "distill", "web/dist-page")}
    wanted = {*plan.read_only, *interpreter, *ours, *_SYSTEM, *_DEVICES}
    both = wanted | {os.path.realpath(path) for path in wanted}
    return tuple(sorted(path for path in both if path.startswith("/") and path != "/" and Path(path).exists()))


def build_root(plan: Plan, readable: Iterable[str]) -> None:
    """Make `/` a small read-only tree: `readable` read-only, the plan's `writable`, four devices; no /proc, no /etc.

    Raises `OSError`; the old root then still stands.
    """
    libc.mount("tmpfs", plan.stage, "tmpfs", _NO_SUID | _NO_DEVICES, "size=1m,mode=755")
    for path in readable:
        devices = 0 if path in _DEVICES else _NO_DEVICES
        _bind(path, plan.stage, _READ_ONLY | _NO_SUID | devices)
    for path in plan.writable:
        _bind(path, plan.stage, _NO_SUID | _NO_DEVICES | _NO_PROGRAMS)
    _set_attributes(plan.stage, _READ_ONLY | _NO_SUID | _NO_DEVICES, recursive=False)
    os.chdir(plan.stage)
    libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b".")
    libc.unmount_lazily(".")
    os.chdir("/")


def _bind(path: str, stage: str, attributes: int) -> None:
    source, target = Path(path), Path(stage + path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        if not target.is_symlink():
            target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir(exist_ok=True)
    elif not target.exists():
        target.touch()
    libc.mount(path, str(target), None, _BIND | _RECURSIVE)
    _set_attributes(str(target), attributes, recursive=True)


def _set_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    # struct mount_attr {set, clear, propagation, user namespace}: MOUNT_ATTR_* are the first four MS_* bits.
    packed = b"".join(value.to_bytes(8, "little") for value in (attributes, 0, 0, 0))
    libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE if recursive else 0, packed, len(packed))


def own_shared_memory() -> None:
    """An empty /dev/shm of the size of the machine's, in a mount namespace of one's own. Raises `OSError`."""
    held = os.statvfs(_SHARED_MEMORY)
    options = f"size={held.f_blocks * held.f_frsize},mode=1777"
    libc.mount("tmpfs", _SHARED_MEMORY, "tmpfs", _NO_SUID | _NO_DEVICES | _NO_PROGRAMS, options)


def raise_loopback() -> None:
    """Switch on the `lo` of a network namespace of one's own: 127.0.0.1 and ::1, and nothing else. Raises `OSError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
