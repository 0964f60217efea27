"""A study that somebody stays with: its events as they come, and what came of it."""

from __future__ import annotations

from client import study_tables
from client.api import Retort
from client.errors import StudyFailed
from client.session import Session
from client.types import Study


def followed(session: Session, retort: Retort, study_id: str) -> Study:
    """The study once it has ended; meanwhile a line an event."""
    for event in retort.study_events(study_id):
        if not session.as_json:
            session.say(study_tables.line(event))
    return retort.study(study_id)


def show_end(session: Session, retort: Retort, study: Study) -> None:
    """Its table, the best first, and how to read it. Raises `StudyFailed` for one that has no winner."""
    if study["status"] != "succeeded":
        raise StudyFailed(dict(study))
    session.show(study, lambda: study_tables.rows(retort.study_table(study["id"])))
    if not session.as_json and study["result"]:
        session.say(str(study["result"]["reading"]))
