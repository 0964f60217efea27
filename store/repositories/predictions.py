"""Requests to finished students: asked by the API, claimed and answered by a worker, removed by whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.prediction_table import Prediction

_QUIET = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Question:
    """A claimed request. `pictures`: all of them, one after the other."""

    id: str
    job_id: str
    request: dict[str, Any]
    pictures: bytes


def ask(
    session: Session, tenant_id: str, job_id: str, request: dict[str, Any], pictures: bytes | None, seconds: float
) -> str:
    """Leave a request, which nobody looks at after `seconds`. Returns its id."""
    row = Prediction(
        id=new_id("prd"), tenant_id=tenant_id, job_id=job_id, request=request, pictures=pictures,
        expires_at=db_now(seconds),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row.id


def open_of(session: Session, tenant_id: str) -> int:
    """How many of the tenant's requests are on their way."""
    query = select(func.count()).where(Prediction.tenant_id == tenant_id, Prediction.expires_at > db_now())
    return session.scalar(query) or 0


def claim(
    session: Session, worker_id: str, job_id: str | None = None, older_than_seconds: float = 0.0
) -> Question | None:
    """Take the oldest waiting request, of this job where one is named, that waits for at least so long; None where
    there is none, or another was faster. Its pictures leave the database with it."""
    query = select(Prediction).where(Prediction.status == "waiting", Prediction.expires_at > db_now())
    query = query.where(Prediction.job_id == job_id) if job_id is not None else query
    query = query.where(Prediction.created_at <= db_now(-older_than_seconds)) if older_than_seconds else query
    row = session.scalar(query.order_by(Prediction.created_at, Prediction.id).limit(1))
    if row is None:
        return None
    found = Question(row.id, row.job_id, row.request, row.pictures or b"")
    taken = update(Prediction).where(Prediction.id == row.id, Prediction.status == "waiting")
    taken = taken.values(status="held", worker_id=worker_id, pictures=None)
    done = session.execute(taken, execution_options=_QUIET)
    return found if done.rowcount == 1 else None  # type: ignore[attr-defined]


def any_waiting(session: Session) -> bool:
    query = select(Prediction.id).where(Prediction.status == "waiting", Prediction.expires_at > db_now())
    return session.scalar(query.limit(1)) is not None


def oldest(session: Session, older_than_seconds: float) -> str | None:
    """The job whose student has been waited for longest, for at least so long."""
    query = select(Prediction.job_id).where(Prediction.status == "waiting", Prediction.expires_at > db_now())
    query = query.where(Prediction.created_at <= db_now(-older_than_seconds))
    return session.scalar(query.order_by(Prediction.created_at, Prediction.id).limit(1))


def tell(session: Session, prediction_id: str, messages: list[dict[str, Any]], done: bool) -> bool:
    """Write what has been said so far. False: nobody waits for it any more."""
    values: dict[str, Any] = {"said": {"messages": messages}, "version": Prediction.version + 1}
    values |= {"status": "answered"} if done else {}
    told = update(Prediction).where(Prediction.id == prediction_id).values(**values)
    return bool(session.execute(told, execution_options=_QUIET).rowcount)  # type: ignore[attr-defined]


def messages(session: Session, prediction_id: str, seen: int) -> tuple[int, list[dict[str, Any]] | None] | None:
    """The version and all messages, None in their place while there is nothing after the version `seen`; None where the
    request is gone."""
    query = select(Prediction.version).where(Prediction.id == prediction_id)
    version = session.scalar(query)
    if version is None or version == seen:
        return None if version is None else (version, None)
    row = session.execute(select(Prediction.version, Prediction.said).where(Prediction.id == prediction_id)).first()
    return None if row is None else (row[0], (row[1] or {}).get("messages", []))


def remove(session: Session, prediction_id: str) -> None:
    session.execute(delete(Prediction).where(Prediction.id == prediction_id), execution_options=_QUIET)


def sweep(session: Session) -> None:
    """Remove what nobody took away in time: its API process is gone."""
    session.execute(delete(Prediction).where(Prediction.expires_at <= db_now()), execution_options=_QUIET)
