"""What /jobs/{id}/predict does: a request goes to a worker by a row, and its answer comes back by the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from anyio import CancelScope
from sqlalchemy.orm import Session

from api.errors.problems import Conflict, InternalError, NotFound, Problem, TooManyRequests, Unavailable, Unprocessable
from api.http.forms import invalid
from api.resources.datasets.service import task_of
from api.resources.jobs.companions import check_finished
from api.resources.jobs.service import find
from api.resources.predictions.reading import Asked
from api.resources.predictions.schemas import NetworkTime, PredictionItem, PredictionOut, TeacherAnswer, Unable
from api.state.context import Context
from distill import tasks
from distill.tasks import TaskSpec
from store.repositories import predictions, system
from store.tables import Dataset, Job

MOST_OPEN = 16
"""Requests of one tenant that are on their way at once."""
LOOKS = ((0.5, 0.01), (5.0, 0.04), (float("inf"), 0.15))
"""Until so many seconds after the request its row is looked at so often: the pause, in seconds."""
GRACE_SECONDS = 1.0  # in which a worker says itself that it was too slow
Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """A request that is on its way. `began`: when it came, of the monotonic clock."""

    id: str
    job: str
    task: str
    began: float


def ask(context: Context, tenant: str, job_id: str, asked: Asked) -> Question:
    """Leave the request for a worker and ring. Raises `NotFound`, `Conflict`, `Unprocessable`, `TooManyRequests`, and
    `Unavailable` where no worker would take it."""
    began = time.monotonic()
    with context.database.write() as session:
        job = find(session, tenant, job_id)
        task = _check(session, job, asked)
        _check_workers(context, session)
        if predictions.open_of(session, tenant) >= MOST_OPEN:
            detail = f"{MOST_OPEN} requests to students are on their way already."
            raise TooManyRequests(detail, "Wait for their answers.", code="too_many_predictions",
                                  headers={"Retry-After": "1"})  # fmt: skip
        seconds = context.settings.predict_wait_seconds + 2 * GRACE_SECONDS
        pictures = b"".join(asked.pictures) or None
        made = predictions.ask(session, tenant, job.id, asked.request(), pictures, seconds)
    context.doorbell.ring("prediction", made)
    return Question(made, job.id, task.name, began)


def _check(session: Session, job: Job, asked: Asked) -> TaskSpec:
    check_finished(session, job, "ask")
    if asked.options.teacher and job.teacher_id is None:
        detail = f"Job {job.id} has no teacher."
        raise Conflict(detail, "Ask its student alone: leave `teacher` out.", code="no_teacher")
    dataset = session.get(Dataset, job.dataset_id)
    name = tasks.of_result(job.result or {}) or (task_of(dataset) if dataset is not None else "")
    if name not in tasks.names() or not tasks.has(name, "predicting"):
        detail = f"Students of the task {name!r} are not asked here."
        raise Unprocessable(detail, "Download the student and load it in Python.", code="not_predictable")
    task = tasks.spec(name)
    _check_inputs(task, asked)
    return task


def _check_inputs(task: TaskSpec, asked: Asked) -> None:
    if task.modality == "images" and not asked.pictures:
        remedy = 'Send multipart/form-data with a `file`, or {"image": base64}.'
        raise invalid("/inputs", f"{task.title}: this student takes pictures, not texts.", remedy, "invalid_sample")
    if task.modality == "texts" and asked.pictures:
        remedy = "Send JSON with `inputs`."
        raise invalid("/inputs", f"{task.title}: this student takes texts, not pictures.", remedy, "invalid_sample")
    for name in asked.options.writing if not task.writes else ():
        raise invalid(f"/{name}", f"{task.title}: this student writes no text.", f"Leave {name} out.", "invalid_config")


def _check_workers(context: Context, session: Session) -> None:
    live = system.live_workers(session, context.settings.lease_seconds)
    if not any(worker.info.get("predictors", 0) for worker in live):
        raise Unavailable(
            "No worker that answers requests is running.",
            "Start one (RETORT_PREDICTORS of 1 or more); GET /system/workers lists those that there are.",
            code="no_worker",
            headers={"Retry-After": "10"},
        )


async def answered(context: Context, question: Question) -> PredictionOut:
    """The answer. Raises what went wrong as a `Problem`."""
    *_, last = [messages async for messages in _heard(context, question)]
    return _shown(question, last)


async def streamed(context: Context, question: Question) -> AsyncIterator[str]:
    """Server-sent events: `text` for each part of a text, then one `answer`, or one `failed` with the problem."""
    said, last = Sayings(), Messages()
    try:
        async for last in _heard(context, question):
            for part in said.more(last):
                yield _event("text", part)
        yield _event("answer", _shown(question, last).model_dump(mode="json"))
    except Problem as problem:
        document = problem.document(f"/jobs/{question.job}/predict")
        yield _event("failed", document.model_dump(mode="json", by_alias=True))


class Sayings:
    """Which parts of texts have been passed on. The messages of a request grow: the last text too."""

    def __init__(self) -> None:
        self._passed = list[int]()

    def more(self, messages: Messages) -> Messages:
        """The parts that are new."""
        texts = [each for each in messages if each["kind"] == "text"]
        self._passed += [0] * (len(texts) - len(self._passed))
        parts = [
            {"input": each["input"], "network": each["network"], "text": each["text"][passed:]}
            for each, passed in zip(texts, self._passed, strict=True)
            if len(each["text"]) > passed
        ]
        self._passed = [len(each["text"]) for each in texts]
        return parts


async def _heard(context: Context, question: Question) -> AsyncIterator[Messages]:
    """All messages, whenever there are more, until the request is done; its row is gone afterwards."""
    try:
        seen, messages = 0, Messages()
        while not messages or messages[-1]["kind"] not in {"done", "failed"}:
            found = await context.lanes.reading.run(_look, context, question.id, seen)
            if found is None:
                raise NotFound(f"Job {question.job} was deleted.", "GET /jobs lists the jobs there are.")
            if found[1] is not None:
                seen, messages = found[0], found[1]
                yield messages
                continue
            waited = time.monotonic() - question.began
            if waited > context.settings.predict_wait_seconds + GRACE_SECONDS:
                raise _late(context)
            await asyncio.sleep(next(pause for until, pause in LOOKS if waited < until))
    finally:
        with CancelScope(shield=True):  # also where the client went away: nothing of the request is kept
            await context.lanes.writing.run(_remove, context, question.id)


def _look(context: Context, prediction_id: str, seen: int) -> tuple[int, Messages | None] | None:
    with context.database.read() as session:
        return predictions.messages(session, prediction_id, seen)


def _remove(context: Context, prediction_id: str) -> None:
    with context.database.write() as session:
        predictions.remove(session, prediction_id)


def _late(context: Context) -> Unavailable:
    seconds = context.settings.predict_wait_seconds
    return Unavailable(
        f"No worker answered within {seconds:g} s.",
        "Ask again: all may be busy with other students. RETORT_PREDICTORS says how many a worker holds ready.",
        code="prediction_timeout",
        headers={"Retry-After": "5"},
    )


def _shown(question: Question, messages: Messages) -> PredictionOut:
    last = messages[-1]
    if last["kind"] == "failed":
        raise _problem(last["error"])
    said = {each["network"]: each for each in messages if each["kind"] == "answers"}
    own = said.pop("student")
    return PredictionOut(
        job=question.job,
        task=question.task,
        items=[_item(i, each, said, last["agreement"]) for i, each in enumerate(own["answers"])],
        networks=[NetworkTime.model_validate(each) for each in (own, *said.values())],
        unable=[Unable.model_validate(each) for each in last["unable"]],
        warm=last["warm"],
        milliseconds=1e3 * (time.monotonic() - question.began),
    )


def _item(
    i: int, student: dict[str, Any], teachers: dict[str, dict[str, Any]], agreement: dict[str, list[float]]
) -> PredictionItem:
    beside = [
        TeacherAnswer(network=name, answer=each["answers"][i], agreement=agreement[name][i])
        for name, each in teachers.items()
    ]
    return PredictionItem(student=student, teachers=beside)


def _problem(error: dict[str, Any]) -> Problem:
    """What a worker said, as the API says it."""
    code, detail, remedy, details = (error[name] for name in ("code", "message", "remedy", "details"))
    if code == "input_gone":
        return Conflict(detail, remedy, code="files_deleted")
    if error["fault"] == "user":
        place = f"/inputs/{details['input']}" if "input" in details else "/inputs"
        return invalid(place, detail, remedy, "invalid_sample", **details)
    if error["retryable"] and code != "internal":
        return Unavailable(detail, remedy, code=code, details=details, headers={"Retry-After": "1"})
    return InternalError(detail, remedy, code=code, details=details)


def _event(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
