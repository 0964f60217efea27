"""Own user, mount, network, pid, IPC and host name namespaces, and a root folder that holds only what is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
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
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache")


def enter() -> tuple[str, ...]:
    """Leave the machine's namespaces for new ones; their names, () where the kernel or the container refuses.

    All or nothing, tried first in a process that is thrown away: a half-made set (a user namespace without rights, as
    AppArmor gives) would leave this process worse off. With a user namespace no privilege is needed; without one
    (root in a container that forbids them) root's own right does it. The pid namespace starts with the next fork.
    """
    for wanted in (_USER | _OTHERS, _OTHERS):
        if _succeeds(lambda wanted=wanted: _unshare(wanted)):  # type: ignore[misc]
            _unshare(wanted)
            return tuple(wanted)
    return ()


def _unshare(wanted: dict[str, int]) -> None:
    user, group = os.geteuid(), os.getegid()
    libc.unshare(sum(wanted.values()))
    if "user" in wanted:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_INNER_ID} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{_INNER_ID} {group} 1")
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
    """What the child may read: the plan's inputs, the interpreter, its libraries and our own two packages.

    Of the checkout only the packages: a folder beside them may hold an `.env` file.
    """
    interpreter = {sys.prefix, sys.base_prefix, sys.exec_prefix, *(p for p in sys.path if p not in ("", plan.root))}
    interpreter |= set(tasks.extensions())
    ours = {f"{plan.root}/{package}" for package in ("worker", "distill")}
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
