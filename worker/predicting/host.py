"""A predictor process as its worker has it: started with a job's files, asked, and verified gone."""

from __future__ import annotations

import json
import logging
import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from distill.errors import RetortError
from distill.tasks import of_result
from distill.types import Event, TeacherInput
from store.database import Database
from store.objects import ObjectStore
from store.settings import Settings
from worker.isolation import users
from worker.isolation.confinement import written
from worker.isolation.users import User
from worker.jobs.exits import explain_exit
from worker.jobs.trainer import INPUTS, WORK
from worker.predicting.errors import PredictionTimeout, PredictorDied
from worker.predicting.predictor import ASK, ASKED, LOAD, REQUEST, STOP
from worker.processes import scratch
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess
from worker.transfer import inputs
from worker.transfer.fetching import Fetcher
from worker.watching.memory_kills import MemoryKills

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.predicting.predictor")
TICK_SECONDS = 0.05
Check = Callable[[], None]


class Failed(Exception):
    """What the predictor said in place of an answer; None where the request was stopped."""

    def __init__(self, error: dict[str, Any] | None) -> None:
        super().__init__((error or {}).get("message", "stopped"))
        self.error = error


class Host:
    """One job's predictor. Every call may raise what its `check` raises, `PredictorDied`, and `Failed`."""

    def __init__(
        self, settings: Settings, database: Database, objects: ObjectStore, job_id: str, user: User | None,
        command: Sequence[str] = COMMAND,
    ) -> None:  # fmt: skip
        self.job_id = job_id
        self._settings, self._database, self._objects, self._user = settings, database, objects, user
        self._command = command
        self._stack = ExitStack()
        self._process: TrainerProcess | None = None
        self._teachers: list[dict[str, str]] | None = None

    def start(self, worker_id: str, number: int, check: Check) -> None:
        """Fetch the student and load it. `number`: apart from all predictors that this worker has started."""
        with self._database.read() as session:
            found = inputs.finished(session, self.job_id)
        self._folder = self._stack.enter_context(scratch.folder(self._settings.scratch, worker_id, number))
        folder = self._folder / INPUTS
        for each in (folder, self._folder / ASKED):
            each.mkdir()
        fetcher = Fetcher(self._objects, folder, check, self._note)
        student = fetcher.get(found.student.object_key, found.student.sha256, found.student.name)
        report = fetcher.get(found.report.object_key, found.report.sha256, found.report.name)
        told = {
            "task": of_result(found.job.result or {}), "student": str(student), "report": str(report),
            "memory_bytes": self._settings.predictor_memory_bytes,
        }  # fmt: skip
        (self._folder / LOAD).write_text(json.dumps(told))
        users.grant(self._folder, self._user, written([WORK]))
        environment = child_environment(self._settings, {"CUDA_VISIBLE_DEVICES": ""})
        self._process = TrainerProcess(self._command, self._folder, environment, self._user)
        self._kills = MemoryKills(self._process.pid)
        for event in self._events(check):
            if event.kind == "ready":
                return
            raise Failed(event.data.get("error"))

    def ask(self, question: str, request: dict[str, Any], pictures: bytes, check: Check) -> Iterator[Event]:
        """Everything that the predictor says of the request, `done` last. Nothing of it is left on disk afterwards."""
        assert self._process is not None
        folder = self._folder / ASKED / question
        folder.mkdir()
        try:
            samples = [*_written(folder, request["sizes"], pictures), *request["texts"]]
            teachers = self._fetched_teachers(check) if request["teacher"] else []
            told = {"samples": samples, "teachers": teachers, "writing": request["writing"]}
            (folder / REQUEST).write_text(json.dumps(told))
            users.grant(folder, self._user)
            self._process.order(f"{ASK} {question}")
            for event in self._events(check):
                if event.data.pop("request", question) != question:
                    continue  # of an earlier one that was stopped
                if event.kind == "failed":
                    raise Failed(event.data["error"])
                yield event
                if event.kind == "done":
                    return
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self, question: str) -> None:
        """End the answer that is being written; what it says further is passed over."""
        if self._process is not None:
            self._process.order(f"{STOP} {question}")

    def alive(self) -> bool:
        return self._process is not None and not self._process.exited()

    def close(self) -> None:
        """When this returns, nothing of the predictor runs any more and its folder is gone."""
        if self._process is not None:
            self._process.end(0)
        self._stack.close()

    def _events(self, check: Check) -> Iterator[Event]:
        assert self._process is not None
        while True:
            check()
            try:
                said = self._process.events.get(TICK_SECONDS)
            except queue.Empty:
                self._kills.sample()
                continue
            if said is None:
                raise self._death()
            yield said[0]

    def _death(self) -> RetortError:
        process = self._process
        assert process is not None
        process.end(0)
        assert process.exit_code is not None
        last = process.tail[-1] if process.tail else ""
        log.warning("the predictor of %s died: %s", self.job_id, "\n".join(process.tail))
        why = explain_exit(
            process.exit_code, process.peak_memory_bytes, last, "The predictor", for_memory=self._kills.lately()
        )
        return PredictorDied(why.message, "Ask again: the next request starts a new one.", why.details)

    def _fetched_teachers(self, check: Check) -> list[dict[str, str]]:
        if self._teachers is None:
            with self._database.read() as session:
                rows = inputs.teachers_of(session, inputs.finished(session, self.job_id).job)
            fetcher = Fetcher(self._objects, self._folder / INPUTS, check, self._note)
            found = inputs.teacher_inputs(rows, fetcher)
            users.grant(self._folder / INPUTS, self._user)
            self._teachers = [_told(i, len(found), each) for i, each in enumerate(found, 1)]
        return self._teachers

    def _note(self, level: str, message: str) -> None:
        log.info("%s: %s", self.job_id, message)


def _told(number: int, of: int, teacher: TeacherInput) -> dict[str, str]:
    name = "teacher" if of == 1 else f"teacher_{number}"
    return {"network": name, "weights": teacher.weights, "label": teacher.label}


def _written(folder: Path, sizes: Sequence[int], pictures: bytes) -> list[str]:
    """The pictures as files, in their order."""
    paths, start = list[str](), 0
    for number, size in enumerate(sizes):
        path = folder / f"{number}"
        path.write_bytes(pictures[start : start + size])
        paths.append(str(path))
        start += size
    return paths


def deadline(seconds: float) -> Check:
    """Raises `PredictionTimeout` from then on."""
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise PredictionTimeout(
                f"The student did not answer within {seconds:g} s.",
                "Ask again: it is being made ready. Ask for fewer samples or tokens, or raise "
                "RETORT_PREDICT_WAIT_SECONDS.",
            )

    return check
