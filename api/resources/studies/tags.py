"""A study's entity tag, `"<own>.<all>"`: `all` is of every byte of the answer, `own` leaves out what its trials write,
so that it stays good for `If-Match` while the study runs (docs/http.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Set

from api.resources.studies.schemas import StudyOut

#: A field that is new counts for `If-Match` until it is named here.
RUNNING = frozenset({"phase", "counts", "used_minutes", "exhausted", "result"})


def tag_of(study: StudyOut) -> str:
    return f'"{_digest(study, RUNNING)}.{_digest(study, frozenset())}"'


def own(tag: str) -> str:
    """The part that `If-Match` compares, with its quote; of a weak tag still weak, so it matches nothing."""
    return tag.partition(".")[0]


def seen(if_none_match: str | None, study: StudyOut) -> bool:
    """Whether who sends this header (or none) knows the study as it is, so that there is something to wait for."""
    if if_none_match is None or if_none_match.strip() == "*":
        return True
    return tag_of(study) in {given.strip() for given in if_none_match.split(",")}


def _digest(study: StudyOut, without: Set[str]) -> str:
    return hashlib.sha256(study.model_dump_json(exclude=set(without)).encode()).hexdigest()[:16]
