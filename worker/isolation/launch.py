"""The child's first steps: shut itself in, say what was achieved, and only then run the module it was started for."""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys
from dataclasses import replace
from typing import NoReturn

from worker.isolation import landlock, libc, namespaces, seccomp
from worker.isolation.libc import tasks_of_user
from worker.isolation.plan import Isolation, Plan


def main(text: str) -> None:
    """Carry out the `Plan` in `text` (JSON). Returns when the module does; its `SystemExit` passes through.

    A child that could not be shut in ends without a report: never the input's fault.
    """
    plan = Plan.from_json(text)
    try:
        isolation = _shut_in(plan)
        os.write(plan.report_descriptor, isolation.to_json().encode())
        os.close(plan.report_descriptor)
    except OSError as error:
        sys.stderr.write(f"the sandbox could not be set up: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    sys.argv[1:] = plan.arguments
    runpy.run_module(plan.module, run_name="__main__", alter_sys=True)


def _shut_in(plan: Plan) -> Isolation:
    libc.die_with_parent()
    if os.getppid() != plan.parent:
        os._exit(1)
    readable, tasks = namespaces.readable_paths(plan), tasks_of_user()
    isolation = _enter_namespaces(plan, readable) if "namespaces" in plan.layers else Isolation()
    libc.no_new_privileges()
    isolation = _drop_capabilities(isolation)
    isolation = _set_rlimits(plan, isolation, 0 if "user" in isolation.namespaces else tasks)
    if "landlock" in plan.layers:
        isolation = _landlock(plan, readable, isolation)
    return _seccomp(isolation) if "seccomp" in plan.layers else isolation


def _enter_namespaces(plan: Plan, readable: tuple[str, ...]) -> Isolation:
    names = namespaces.enter()
    if not names:
        return Isolation(problems=("namespaces: refused by the kernel or the container",))
    _become_child(plan)  # the process that starts a pid namespace
    libc.die_with_parent()  # entering a user namespace cleared it
    isolation = Isolation(namespaces=names)
    try:
        namespaces.build_root(plan, readable)
        isolation = replace(isolation, own_root=True)
    except OSError as error:
        isolation = replace(isolation, problems=(f"own root: {error.strerror or error}",))
    _become_child(plan)  # so that signals act on the module as usual: process 1 ignores most
    libc.die_with_parent()
    return isolation


def _become_child(plan: Plan) -> None:
    """Go on in a child; the parent only waits for it and passes its status on (128 + n for signal n)."""
    child = os.fork()
    if child == 0:
        return
    os.close(plan.report_descriptor)
    _wait_and_exit(child)


def _wait_and_exit(child: int) -> NoReturn:
    status = 0
    while (found := os.wait())[0] != child:
        pass
    status = os.waitstatus_to_exitcode(found[1])
    os._exit(status if status >= 0 else 128 - status)


def _drop_capabilities(isolation: Isolation) -> Isolation:
    try:
        libc.drop_capabilities()
    except OSError as error:
        return replace(isolation, problems=(*isolation.problems, f"capabilities: {error.strerror}"))
    return replace(isolation, no_capabilities=True)


def _set_rlimits(plan: Plan, isolation: Isolation, others: int) -> Isolation:
    for name, (soft, hard) in plan.rlimits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        soft, hard = (soft + others, hard + others) if name == "NPROC" else (soft, hard)
        ceiling = resource.getrlimit(number)[1]
        fits = [value if ceiling == resource.RLIM_INFINITY else min(value, ceiling) for value in (soft, hard)]
        resource.setrlimit(number, (fits[0], fits[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError, not a death
    return replace(isolation, rlimits=tuple(plan.rlimits))


def _landlock(plan: Plan, readable: tuple[str, ...], isolation: Isolation) -> Isolation:
    try:
        # The import system lists the folder of our packages.
        rules = landlock.Rules(readable, plan.writable, listed=(plan.root,))
        return replace(isolation, landlock=landlock.restrict(rules))
    except OSError as error:
        return replace(isolation, problems=(*isolation.problems, f"landlock: {error.strerror}"))


def _seccomp(isolation: Isolation) -> Isolation:
    try:
        seccomp.install()
    except OSError as error:
        return replace(isolation, problems=(*isolation.problems, f"seccomp: {error.strerror}"))
    return replace(isolation, seccomp=True)
