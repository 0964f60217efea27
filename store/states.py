"""The transition table of a job. Pure: every writer asks it, and the tests walk all of it."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["queued", "running", "pausing", "paused", "stopping", "cancelling", "succeeded", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)

#: What may follow what. `running -> queued` is a lost lease, a system fault or a hand-over with attempts left.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"running", "cancelled", "paused", "failed"}),
    "running": frozenset({"succeeded", "failed", "cancelling", "stopping", "pausing", "queued", "cancelled"}),
    "pausing": frozenset({"paused", "cancelling", "succeeded", "failed", "queued", "cancelled"}),
    "paused": frozenset({"queued", "cancelled"}),
    "stopping": frozenset({"succeeded", "failed", "cancelling", "queued", "cancelled"}),
    "cancelling": frozenset({"cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset({"queued"}),
    "cancelled": frozenset(),
}
#: What a job's owner may ask for; everything else is its worker's to say, because somebody holds a lease.
REQUESTS: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"cancelled", "paused"}),
    "running": frozenset({"cancelling", "stopping", "pausing"}),
    "pausing": frozenset({"cancelling"}),
    "paused": frozenset({"queued", "cancelled"}),
    "stopping": frozenset({"cancelling"}),
    "cancelling": frozenset(),
    "succeeded": frozenset(),
    "failed": frozenset({"queued"}),
    "cancelled": frozenset(),
}
#: A worker holds (or held) a lease in these.
LEASED: frozenset[Status] = frozenset({"running", "pausing", "stopping", "cancelling"})
#: Nothing happens any more unless a user asks.
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


class IllegalTransition(Exception):
    """The job is not in a state from which this may happen."""

    def __init__(self, current: str, wanted: str) -> None:
        super().__init__(f"a job that is {current} cannot become {wanted}")
        self.current, self.wanted = current, wanted


def check_transition(current: Status, wanted: Status) -> None:
    """Raise `IllegalTransition` unless `current -> wanted` is in the table."""
    if wanted not in TRANSITIONS[current]:
        raise IllegalTransition(current, wanted)


def check_request(current: Status, wanted: Status) -> None:
    """Raise `IllegalTransition` unless an owner may ask for `wanted` of a job that is `current`."""
    if wanted not in REQUESTS[current]:
        raise IllegalTransition(current, wanted)


def sources(wanted: Status) -> frozenset[Status]:
    """The states from which `wanted` may be reached: the WHERE of a conditional UPDATE."""
    return frozenset(current for current, following in TRANSITIONS.items() if wanted in following)
