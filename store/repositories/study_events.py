"""A study's events, numbered without gaps in the transaction that causes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.repositories.events import MOST
from store.tables import Study, StudyEvent


def append(session: Session, study_id: str, kind: str, data: dict[str, Any]) -> int:
    """Add one event and return its number; the study's row is locked until commit."""
    bump = update(Study).where(Study.id == study_id).values(event_seq=Study.event_seq + 1).returning(Study.event_seq)
    seq = int(session.execute(bump, execution_options={"synchronize_session": False}).scalar_one())
    session.add(StudyEvent(study_id=study_id, seq=seq, kind=kind, data=data))
    session.flush()
    return seq


def after(session: Session, study_id: str, seq: int, limit: int) -> list[StudyEvent]:
    """Events with a number above `seq`, in order."""
    query = select(StudyEvent).where(StudyEvent.study_id == study_id, StudyEvent.seq > min(seq, MOST))
    return list(session.scalars(query.order_by(StudyEvent.seq).limit(limit)))
