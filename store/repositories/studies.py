"""Studies: make, list, lock, end. Whoever changes a study or a trial of it holds the lock of the study's row, so that
steps of several workers, and requests of its owner, come one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.repositories import study_events
from store.repositories.page import newest_first
from store.study_tables import STUDY_TERMINAL, StudyStatus
from store.tables import Study

_NO_SYNC = {"synchronize_session": False}


def add(session: Session, study: Study) -> Study:
    """Insert a study with its first event."""
    session.add(study)
    session.flush()
    study_events.append(session, study.id, "status", {"status": study.status})
    session.refresh(study)
    return study


def get(session: Session, tenant_id: str, study_id: str) -> Study | None:
    """The study, if it is this tenant's."""
    study = session.get(Study, study_id)
    return study if study is not None and study.tenant_id == tenant_id else None


def get_locked(session: Session, tenant_id: str, study_id: str) -> Study | None:
    """The same, and nobody steps or changes it until commit."""
    query = select(Study).where(Study.id == study_id, Study.tenant_id == tenant_id).with_for_update(key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def take(session: Session, study_id: str) -> Study | None:
    """The study, and until commit nobody else's; None where somebody has it, or it is gone. (SQLite has one writer at a
    time anyway.)"""
    query = select(Study).where(Study.id == study_id).with_for_update(skip_locked=True, key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def page(
    session: Session, tenant_id: str, before: str | None, limit: int, status: Sequence[str] = ()
) -> tuple[list[Study], bool]:
    """A tenant's studies, newest first, and whether more follow."""
    query = select(Study).where(Study.tenant_id == tenant_id)
    if status:
        query = query.where(Study.status.in_(status))
    return newest_first(session, query, Study.id, before, limit)


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A study that has not ended; `version`: the number of its last event."""

    id: str
    version: int
    strategy: str


def going_on(session: Session) -> list[GoingOn]:
    """Of all tenants."""
    query = select(Study.id, Study.event_seq, Study.strategy).where(Study.status.not_in(STUDY_TERMINAL))
    return [GoingOn(*row) for row in session.execute(query.order_by(Study.id))]


def using(session: Session, tenant_id: str, resource_id: str) -> list[str]:
    """Ids of studies that have not ended and may still need this teacher or dataset."""
    query = select(Study.id, Study.inputs).where(Study.tenant_id == tenant_id, Study.status.not_in(STUDY_TERMINAL))
    return [row[0] for row in session.execute(query.order_by(Study.id)) if resource_id in row[1]]


def move(session: Session, study: Study, status: StudyStatus, **values: Any) -> None:
    """Change the state of a study whose lock the caller holds."""
    values |= {"status": status}
    values["finished_at"] = db_now() if status in STUDY_TERMINAL else None
    write(session, study, **values)
    told = {"status": status} | ({"error": values["error"]} if values.get("error") else {})
    study_events.append(session, study.id, "status", told)
    session.refresh(study)


def write(session: Session, study: Study, **values: Any) -> None:
    """Write columns of a study whose lock the caller holds."""
    session.execute(update(Study).where(Study.id == study.id).values(**values), execution_options=_NO_SYNC)
    session.refresh(study)


def delete(session: Session, study_id: str) -> None:
    """Remove the study with its trials and events (the database cascades); its jobs stay."""
    session.execute(delete_rows(Study).where(Study.id == study_id), execution_options=_NO_SYNC)
