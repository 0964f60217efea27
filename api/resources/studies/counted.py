"""What workers know of a study's points before the first of them is a job: how many layers their networks have."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from api.resources.jobs import measuring
from api.resources.jobs.findings import Findings
from api.resources.studies.points import Looked, note
from api.resources.studies.schemas import StudyCreate
from api.resources.studies.validation import Checked
from api.state.context import Context
from distill.search.space import Assignment
from distill.tasks.forecast import Question
from store.repositories import costs

MOST = 12
"""Networks of one study that workers are asked about before it is made: each takes seconds (our choice)."""
PLACES = frozenset({"/config", "/config/layers", "/config/teacher_layers", "/config/student_layers"})


def worth_asking(body: StudyCreate) -> bool:
    """Whether some run of the study may be told how many layers to distil."""
    return body.base.config.layers != "auto" or not PLACES.isdisjoint(body.space)


async def ask(context: Context, checked: Checked, seconds: float) -> None:
    """Have workers count the networks of the points, and wait for it."""
    await measuring.asked(context, _wanted(checked), seconds)


def refuse(session: Session, checked: Checked) -> None:
    """Raises `Unprocessable` for points with more layers than a network of theirs has, where workers counted it."""
    findings, known = Findings(), measuring.known(session, _wanted(checked))
    said = list[Assignment]()
    for looked, asked in _asked(checked):
        if any(each.items() <= looked.assignment.items() for each in said):
            continue  # of a value that is refused alone nothing more is said
        answers = {role: known[key] for role, key in asked.items() if key in known}
        refused = measuring.too_few(answers, looked.config)
        if refused is not None:
            said.append(looked.assignment)
            note(findings, checked.space, looked.assignment, refused.message, refused.remedy, refused.code)
    findings.raise_if_any()


def _wanted(checked: Checked) -> dict[str, Question]:
    """Every question once, by its key."""
    found = dict[str, Question]()
    for looked in checked.worth_asking:
        for question in _questions(looked).values():
            if len(found) < MOST:
                found.setdefault(costs.key(question), question)
    return found


def _asked(checked: Checked) -> Iterator[tuple[Looked, dict[str, str]]]:
    """Each point with the keys of its questions, by role."""
    for looked in checked.worth_asking:
        yield looked, {role: costs.key(question) for role, question in _questions(looked).items()}


def _questions(looked: Looked) -> dict[str, Question]:
    return measuring.questions(looked.plan, looked.config)
