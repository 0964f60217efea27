"""Objects that no row names: left by a process that died in between, or by a row that went while the store was away.

An object is written before its row, so it is an orphan only when it has been found without one twice, a grace apart.
What lies under a prefix that we do not know is not ours to judge.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from store.clock import db_now
from store.database import Database
from store.objects import ObjectStore
from store.repositories import rows
from store.states import TERMINAL
from store.tables import Artifact, Checkpoint, Dataset, Job, Orphan, Teacher, Upload

log = logging.getLogger(__name__)
OWNERS = 200  # of one look at the database
#: Whose id is the second part of a key. What else such a row keeps below it (thumbnails, sources) is its own matter.
PREFIXES: dict[str, Any] = {"jobs/": Job, "teachers/": Teacher, "datasets/": Dataset, "uploads/": Upload}
WRITTEN = ("artifacts", "checkpoints")
#: So many unknown objects are more likely a bucket that is shared, or the wrong database, than what a crash has left.
FEW, MOST_SHARE = 50, 0.5


class TooMany(Exception):
    """Most of the store is unknown to this database: nothing is removed."""


def find(database: Database, objects: ObjectStore) -> list[str]:
    """Keys that no row names, now. Raises `TooMany`, `StorageUnavailable`."""
    unknown: list[str] = []
    total = 0
    for prefix in PREFIXES:
        keys = sorted(objects.keys(prefix))  # before the rows are read: what comes later is not judged
        total += len(keys)
        for some in _by_owner(keys):
            with database.read() as session:
                unknown += _unknown(session, prefix, some)
    if len(unknown) > max(FEW, total * MOST_SHARE):
        raise TooMany(f"{len(unknown)} of {total} objects are unknown to this database")
    return unknown


def sweep(database: Database, objects: ObjectStore, grace_seconds: float) -> int:
    """Note new orphans, forget those that have a row now, remove those known for longer than the grace."""
    try:
        unknown = find(database, objects)
    except TooMany as error:
        log.error("%s: no orphan is removed. Is the bucket shared, or RETORT_DATABASE_URL another one?", error)
        return 0
    with database.write() as session:
        late = _note(session, unknown, grace_seconds)
    for key in late:
        log.warning("removing %s, which no row names", key)
        objects.delete(key)
    with database.write() as session:
        _forget(session, late)
    return len(late)


def _by_owner(keys: list[str]) -> Iterator[dict[str, list[str]]]:
    """Keys by the id in their second part, some owners at a time."""
    groups = ((owner, list(own)) for owner, own in groupby(keys, lambda key: key.split("/")[1]))
    while some := dict(islice(groups, OWNERS)):
        yield some


def _unknown(session: Session, prefix: str, by_owner: dict[str, list[str]]) -> list[str]:
    """What belongs to nobody; of an ended job also what it has written and no row names."""
    table = PREFIXES[prefix]
    there = set(session.scalars(select(table.id).where(table.id.in_(list(by_owner)))))
    unknown = [key for owner, keys in by_owner.items() if owner not in there for key in keys]
    return unknown + (_unnamed(session, by_owner) if table is Job else [])


def _unnamed(session: Session, by_owner: dict[str, list[str]]) -> list[str]:
    ended = list(session.scalars(select(Job.id).where(Job.id.in_(list(by_owner)), Job.status.in_(TERMINAL))))
    rows = [select(table.object_key).where(table.job_id.in_(ended)) for table in (Artifact, Checkpoint)]
    named = {key for query in rows for key in session.scalars(query)}
    written = [key for job_id in ended for key in by_owner[job_id] if _part(key) in WRITTEN]
    return [key for key in written if key not in named]


def _part(key: str) -> str:
    """The third, behind prefix and owner; "" where somebody has put an object in the owner's place."""
    return [*key.split("/", 3), ""][2]


def _note(session: Session, unknown: Iterable[str], grace_seconds: float) -> list[str]:
    unknown = set(unknown)
    noted = set(session.scalars(select(Orphan.object_key)))
    _forget(session, noted - unknown)
    for key in sorted(unknown - noted):  # another worker may note the same
        session.execute(rows.insert(session, Orphan).values(object_key=key, seen_at=db_now()).on_conflict_do_nothing())
    late = select(Orphan.object_key).where(Orphan.seen_at < db_now(-grace_seconds)).order_by(Orphan.object_key)
    return list(session.scalars(late))


def _forget(session: Session, keys: Iterable[str]) -> None:
    for key in sorted(keys):
        session.execute(delete(Orphan).where(Orphan.object_key == key))
