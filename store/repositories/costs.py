"""Networks' costs, which the API asks for and a worker counts: entries of the catalogue, under a digest of what was
asked. `wanted` rows are the questions, `cost` rows the answers; a question that two workers answer is answered once.
`cost_chain` rows hold what was counted of a chain of students, whatever budget asked for it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store.repositories import rows
from store.tables import CatalogueEntry

WANTED, KNOWN, CHAIN = "cost_wanted", "cost", "cost_chain"
MOST_WANTED, MOST_KNOWN = 100, 10_000


def key(question: dict[str, Any]) -> str:
    """sha256 of the question: {architecture, num_classes, in_channels, image_size, native_size}, or of a language model
    {config, task, num_classes, mean_length, max_length, student, recipe}."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def find(session: Session, question: dict[str, Any]) -> dict[str, Any] | None:
    """`{"cost": ...}` or `{"error": ...}` of a question that was answered."""
    row = session.get(CatalogueEntry, (KNOWN, key(question)))
    return row.data if row is not None else None


def ask(session: Session, question: dict[str, Any]) -> None:
    """Have a worker answer. Nothing happens while too many questions wait: nobody may fill the table."""
    waiting = session.scalar(select(func.count()).select_from(CatalogueEntry).where(CatalogueEntry.kind == WANTED))
    if (waiting or 0) < MOST_WANTED:
        _put(session, WANTED, key(question), question)


def next_wanted(session: Session) -> dict[str, Any] | None:
    """The oldest question."""
    query = select(CatalogueEntry.data).where(CatalogueEntry.kind == WANTED)
    return session.scalar(query.order_by(CatalogueEntry.updated_at, CatalogueEntry.name).limit(1))


def forget(session: Session, question: dict[str, Any]) -> None:
    """The question has no answer now; it may be asked again."""
    asked = (CatalogueEntry.kind == WANTED, CatalogueEntry.name == key(question))
    session.execute(delete(CatalogueEntry).where(*asked))


def answer(session: Session, question: dict[str, Any], found: dict[str, Any]) -> None:
    """Keep the answer and forget the question, and all answers once there are too many."""
    forget(session, question)
    known = session.scalar(select(func.count()).select_from(CatalogueEntry).where(CatalogueEntry.kind == KNOWN))
    if (known or 0) >= MOST_KNOWN:
        session.execute(delete(CatalogueEntry).where(CatalogueEntry.kind == KNOWN))
    _put(session, KNOWN, key(question), {"question": question} | found)


def chains(session: Session, question: dict[str, Any]) -> list[dict[int, dict[str, Any]]]:
    """What is known of each chain of a question about a budget, by place."""
    found = [session.get(CatalogueEntry, (CHAIN, key(each))) for each in _chains(question)]
    return [{int(place): told for place, told in row.data.items()} if row else {} for row in found]


def keep_chains(session: Session, question: dict[str, Any], known: list[dict[int, dict[str, Any]]]) -> None:
    """Replace what is known of its chains; all are forgotten once there are too many."""
    count = session.scalar(select(func.count()).select_from(CatalogueEntry).where(CatalogueEntry.kind == CHAIN))
    if (count or 0) >= MOST_KNOWN:
        session.execute(delete(CatalogueEntry).where(CatalogueEntry.kind == CHAIN))
    for each, told in zip(_chains(question), known, strict=True):
        data = {str(place): found for place, found in told.items()}
        values = {"kind": CHAIN, "name": key(each), "data": data}
        made = rows.insert(session, CatalogueEntry).values(**values)
        session.execute(made.on_conflict_do_update(index_elements=["kind", "name"], set_={"data": data}))


def _chains(question: dict[str, Any]) -> list[dict[str, Any]]:
    """Each chain with all that its figures depend on."""
    return [{"task": question["task"], **chain} for chain in question["chains"]]


def _put(session: Session, kind: str, name: str, data: dict[str, Any]) -> None:
    values = {"kind": kind, "name": name, "data": data}
    session.execute(rows.insert(session, CatalogueEntry).values(**values).on_conflict_do_nothing())
