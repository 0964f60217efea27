"""A worker's container starts as root, and this is what it does first: it becomes the worker's user.

Where trainers get user ids of their own (RETORT_TRAINER_UID), the worker keeps the three capabilities that this takes.
Runs before settings are read, since root without further capabilities cannot read the worker's secrets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from worker.isolation import libc

WORKER, TRAINER = "RETORT_WORKER_UID", "RETORT_TRAINER_UID"
CAPABILITIES = MappingProxyType({"SETUID": 7, "SETGID": 6, "KILL": 5})
"""What it takes to start processes of other users, and to end them."""


def leave(environment: Mapping[str, str] = os.environ) -> None:
    """Become the user RETORT_WORKER_UID. Nothing where it is not set, or where this process is not root's. Ends the
    process with a remedy where root may not. Call before other threads exist."""
    user = number(environment, WORKER)
    if os.geteuid() != 0 or not user:
        return
    kept = CAPABILITIES.values() if number(environment, TRAINER) else ()
    try:
        libc.become(user, (group for group in os.getgroups() if group), kept)
    except OSError as error:
        sys.exit(
            f"This worker runs as root and cannot become user {user} ({error.strerror}). Give its container the "
            f"capabilities {', '.join(CAPABILITIES)}, or start it as user {user}:{user}."
        )


def number(environment: Mapping[str, str], name: str) -> int:
    """0 where it is not set. Ends the process where it is no number."""
    text = environment.get(name) or "0"
    if not text.isdecimal():
        sys.exit(f"{name}={text} is no user id. Set it to a number, or to 0.")
    return int(text)
