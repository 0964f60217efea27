"""A study's trials and events, as they are shown."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.http.paging import encode
from api.resources.history.stream import BATCH, Look
from api.resources.studies import service
from api.resources.studies.schemas import StudyEventOut, StudyEventPage, TrialOut
from api.state.context import Context
from store.repositories import study_events
from store.study_tables import STUDY_TERMINAL
from store.tables import StudyEvent, Trial


def trial(row: Trial) -> TrialOut:
    study = {"study": f"/studies/{row.study_id}"}
    return TrialOut(
        number=row.number,
        configuration=row.configuration,
        seed=row.seed,
        purpose=row.purpose,
        assignment=row.assignment,
        state=row.state,
        outcome=row.outcome,
        values=row.values,
        test=row.test,
        seconds=row.seconds,
        job=row.job_id,
        created_at=row.created_at,
        finished_at=row.finished_at,
        links=study | ({"job": f"/jobs/{row.job_id}"} if row.job_id else {}),
    )


def event(row: StudyEvent) -> StudyEventOut:
    return StudyEventOut(seq=row.seq, kind=row.kind, data=row.data, created_at=row.created_at)


def page(session: Session, study_id: str, after: int, limit: int) -> StudyEventPage:
    rows = study_events.after(session, study_id, after, limit + 1)
    shown = rows[:limit]
    following = encode(shown[-1].seq) if len(rows) > limit else None
    return StudyEventPage(items=[event(row) for row in shown], next_cursor=following)


def look(context: Context, tenant: str, study_id: str, after: int) -> Look:
    """Events after `after`, and how the study stands. Raises `NotFound`."""
    with context.database.read() as session:
        study = service.find(session, tenant, study_id)
        rows = study_events.after(session, study_id, after, BATCH) if study.event_seq > after else []
        ended = study.status in STUDY_TERMINAL
        return Look([event(row) for row in rows], None, study.status, study.event_seq, ended)
