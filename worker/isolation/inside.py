"""A process of ours that shuts itself in: the layers that need no fork and no privilege.

Unlike `worker.isolation.sandbox`, which starts a child in namespaces and an empty environment, this holds for
processes that are started, watched and killed as trainers are. No program, no socket, no file but those named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from worker.isolation import landlock, libc, seccomp
from worker.isolation.namespaces import readable_paths
from worker.isolation.plan import Isolation, Plan

ROOT = Path(__file__).resolve().parents[2]


def shut_in(read_only: Sequence[str], writable: Sequence[str]) -> Isolation:
    """Give up all but reading the interpreter, our packages and `read_only`, and working in the folders `writable`.

    Call before other threads exist. What the kernel refuses is in the result's `problems`: nothing is raised.
    """
    readable = readable_paths(plan_of(read_only, writable))
    libc.no_new_privileges()
    isolation = Isolation(other_user=Path(writable[0]).stat().st_uid != os.geteuid())  # the worker made the folder
    isolation = _tried(isolation, "capabilities", lambda: _dropped(isolation))
    isolation = _tried(isolation, "landlock", lambda: _landlocked(isolation, readable, writable))
    return _tried(isolation, "seccomp", lambda: _filtered(isolation))


def plan_of(read_only: Sequence[str], writable: Sequence[str]) -> Plan:
    """A plan that says what may be read and written, and nothing else."""
    paths = tuple(str(Path(path).resolve()) for path in read_only if path)
    return Plan("", (), str(ROOT), paths, tuple(writable), "", 0, -1, {})


def _tried(before: Isolation, layer: str, step: Callable[[], Isolation]) -> Isolation:
    try:
        return step()
    except OSError as error:
        return replace(before, problems=(*before.problems, f"{layer}: {error.strerror}"))


def _dropped(before: Isolation) -> Isolation:
    libc.drop_capabilities()
    return replace(before, no_capabilities=True)


def _landlocked(before: Isolation, readable: Sequence[str], writable: Sequence[str]) -> Isolation:
    rules = landlock.Rules(tuple(readable), workspaces=tuple(writable), listed=(str(ROOT),))
    return replace(before, landlock=landlock.restrict(rules))


def _filtered(before: Isolation) -> Isolation:
    seccomp.install()
    return replace(before, seccomp=True)
