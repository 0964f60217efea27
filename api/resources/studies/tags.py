"""A study's entity tag, `"<own>.<all>"`: `all` is of every byte of the answer, `own` leaves out what its trials write,
so that it stays good for `If-Match` while the study runs (docs/http.md)."""

from __future__ import annotations

from api.http.preconditions import digest_of
from api.resources.studies.schemas import StudyOut

#: A field that is new counts for `If-Match` until it is named here.
RUNNING = frozenset({"phase", "counts", "used_minutes", "exhausted", "result"})


def tag_of(study: StudyOut) -> str:
    return f'"{digest_of(study, RUNNING)}.{digest_of(study, frozenset())}"'


def seen(if_none_match: str | None, study: StudyOut) -> bool:
    """Whether who sends this header (or none) knows the study as it is, so that there is something to wait for."""
    if if_none_match is None or if_none_match.strip() == "*":
        return True
    return tag_of(study) in {given.strip() for given in if_none_match.split(",")}
