"""Counters that outlive processes and deleted rows, counted in the transaction of what they count."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.repositories import rows
from store.tables import Tally

ATTEMPTS = "attempts"  # label: outcome, or outcome/code
TRIES = "webhook_tries"  # label: delivered, failed
CLAIM_BUCKETS = "claim_seconds_bucket"  # label: the bucket's upper bound
CLAIM_SUM = "claim_seconds_sum"
#: Upper bounds of the waiting time between "may start" and "started", seconds.
BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, float("inf"))


def add(session: Session, name: str, label: str, amount: float = 1.0) -> None:
    """Count. Rows stay locked until commit: count last, and one counter before another everywhere alike."""
    new = rows.insert(session, Tally).values(name=name, label=label, value=amount)
    grown = new.on_conflict_do_update(index_elements=["name", "label"], set_={"value": Tally.value + amount})
    session.execute(grown)


def note_claim(session: Session, waited_seconds: float) -> None:
    """A job started after it could have for so long."""
    bound = next(bound for bound in BOUNDS if waited_seconds <= bound)
    add(session, CLAIM_BUCKETS, str(bound))
    add(session, CLAIM_SUM, "", waited_seconds)


def read(session: Session) -> dict[str, dict[str, float]]:
    """Every counter: name -> label -> value."""
    found: dict[str, dict[str, float]] = {}
    for row in session.scalars(select(Tally).order_by(Tally.name, Tally.label)):
        found.setdefault(row.name, {})[row.label] = row.value
    return found
