"""Where predictors sit: threads of a worker, each with at most one finished student that is ready to be asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from distill.errors import RetortError
from distill.types import Event
from store.database import AWAY, Database
from store.objects import ObjectStore
from store.repositories import predictions
from store.repositories.predictions import Question
from store.repositories.recording import clean
from store.settings import Settings
from worker.errors import Internal, disk_full
from worker.isolation import users
from worker.predicting.errors import PredictorDied
from worker.predicting.host import COMMAND, Check, Failed, Host, deadline

log = logging.getLogger(__name__)
OTHERS_SECONDS, MINE_SECONDS = 0.1, 2.0
"""How long a seat leaves a request to whoever has its student ready: another worker, another seat of this one."""
WARM_LOOK_SECONDS, LOOK_SECONDS, WAITING_LOOK_SECONDS = 0.25, 2.0, 0.03
"""Between looks at the database without a ring: with a student ready, without, and while a request is left to others.
"""
FLUSH_SECONDS = 0.05


class Leaving(Exception):
    """The worker shuts down."""


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Seats:
    """What the seats of one worker share. `warm`: the job of each, by seat."""

    def __init__(
        self, settings: Settings, database: Database, objects: ObjectStore, worker_id: str, leaving: threading.Event,
        command: Sequence[str] = COMMAND,
    ) -> None:  # fmt: skip
        self.settings, self.database, self.objects = settings, database, objects
        self.worker_id, self.leaving, self.command = worker_id, leaving, command
        self.warm = dict[int, str]()
        self.numbers = count(1)

    def all(self) -> list[Seat]:
        return [Seat(self, number) for number in range(self.settings.predictors)]


class Seat:
    """`run_next` and `wait_seconds` are a loop of the worker's pool; `leave` after its end."""

    def __init__(self, shared: Seats, number: int) -> None:
        self._shared, self._number = shared, number
        self._host: Host | None = None
        self._used = 0.0

    # ---- the loop

    def run_next(self) -> bool:
        """Answer one request. False: there is none for this seat now."""
        self._cool()
        question = self._claim()
        if question is None:
            return False
        self._answer(question)
        return True

    def wait_seconds(self) -> float:
        with self._shared.database.read() as session:
            if predictions.any_waiting(session):
                return WAITING_LOOK_SECONDS
        return WARM_LOOK_SECONDS if self._host is not None else LOOK_SECONDS

    def leave(self) -> None:
        host, self._host = self._host, None
        self._shared.warm.pop(self._number, None)
        if host is not None:
            host.close()

    def _cool(self) -> None:
        """Let go a student that died, or that nobody has asked for a while."""
        host = self._host
        if host is None:
            return
        idle = time.monotonic() - self._used
        if idle > self._shared.settings.predict_warm_seconds or not host.alive():
            log.info("%s is let go", host.job_id)
            self.leave()

    def _claim(self) -> Question | None:
        database, worker = self._shared.database, self._shared.worker_id
        with database.read() as session:
            if not predictions.any_waiting(session):
                return None
        with database.write() as session:
            if self._host is not None:
                found = predictions.claim(session, worker, self._host.job_id)
                if found is not None:
                    return found
            return self._claim_cold(session)

    def _claim_cold(self, session: Any) -> Question | None:
        """One of another job, unless a seat that has it ready may come first."""
        ready = set(self._shared.warm.values())
        oldest = predictions.oldest(session, OTHERS_SECONDS)
        if oldest is None:
            return None
        seconds = MINE_SECONDS if oldest in ready else OTHERS_SECONDS
        return predictions.claim(session, self._shared.worker_id, oldest, seconds)

    # ---- an answer

    def _answer(self, question: Question) -> None:
        began, telling = time.monotonic(), Telling(self._shared.database, question.id)
        check = self._checks()
        try:
            warm = self._ready(question.job_id, check)
            assert self._host is not None
            for event in self._host.ask(question.id, question.request, question.pictures, check):
                if event.kind == "done":
                    event.data.update(warm=warm, milliseconds=1e3 * (time.monotonic() - began))
                telling.take(event)
        except Gone:
            self._stop(question.id)
        except Leaving:
            telling.fail(_leaving().to_dict())
        except Failed as failed:
            telling.fail(failed.error or Internal("The request was stopped.").to_dict())
        except RetortError as error:
            telling.fail(error.to_dict())
            self.leave()
        except AWAY:
            self.leave()
            raise
        except Exception as error:
            log.exception("a request to %s broke", question.job_id)
            telling.fail(_broken(error).to_dict())
            self.leave()
        self._used = time.monotonic()

    def _ready(self, job_id: str, check: Check) -> bool:
        """Have the job's student at hand; whether it was."""
        if self._host is not None and self._host.job_id == job_id and self._host.alive():
            return True
        self.leave()
        shared = self._shared
        user = users.predictor(shared.settings, self._number)
        self._host = Host(shared.settings, shared.database, shared.objects, job_id, user, shared.command)
        try:
            self._host.start(shared.worker_id, next(shared.numbers), check)
        except BaseException:
            self.leave()
            raise
        shared.warm[self._number] = job_id
        return False

    def _stop(self, question: str) -> None:
        """A text that nobody reads is not written to its end."""
        if self._host is not None:
            self._host.stop(question)

    def _checks(self) -> Check:
        late = deadline(self._shared.settings.predict_wait_seconds)

        def check() -> None:
            if self._shared.leaving.is_set():
                raise Leaving
            late()

        return check


class Telling:
    """What a predictor says, to the row of the request: parts of texts at most every `FLUSH_SECONDS`. Raises `Gone`."""

    def __init__(self, database: Database, question: str) -> None:
        self._database, self._question = database, question
        self._messages, self._told = list[dict[str, Any]](), 0.0

    def take(self, event: Event) -> None:
        self._add({"kind": event.kind} | event.data)
        if event.kind != "text" or time.monotonic() - self._told > FLUSH_SECONDS:
            self._flush(event.kind == "done")

    def fail(self, error: dict[str, Any]) -> None:
        self._messages.append({"kind": "failed", "error": error})
        try:
            self._flush(done=True)
        except Gone:
            log.info("%s: nobody waits for its error", self._question)

    def _add(self, message: dict[str, Any]) -> None:
        """Parts of one text become one message."""
        last = self._messages[-1] if self._messages else {}
        same = ("kind", "input", "network")
        if message["kind"] == "text" and all(last.get(name) == message[name] for name in same):
            last["text"] += message["text"]
        else:
            self._messages.append(message)

    def _flush(self, done: bool) -> None:
        with self._database.write() as session:
            there = predictions.tell(session, self._question, clean(self._messages), done)
        self._told = time.monotonic()
        if not there:
            raise Gone


def _leaving() -> RetortError:
    return PredictorDied("The worker shut down before it could answer.", "Ask again: another worker answers.")


def _broken(error: Exception) -> RetortError:
    return disk_full(error) or Internal(f"The worker failed: {type(error).__name__}: {error}", "See the worker's log.")
