"""The predictor process: `python -m worker.predicting.predictor FOLDER` loads a finished student and answers requests.

As a trainer it has no credentials and gives up all of the machine but its folder before it loads anything
(`worker.isolation.confinement`), and all memory but RETORT_PREDICTOR_MEMORY_BYTES. FOLDER/load.json names that, the
task, the student's file and the report. An order is a line of the worker's pipe: `ask ID` answers FOLDER/asked/ID,
`stop` ends the answer that is being written. It says `ready` once it is loaded, then of each request `text` and
`answers` events and at last `done` or `failed`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.errors import OutOfMemoryHost, RetortError
from distill.types import Event
from worker.isolation.confinement import confine, of_job
from worker.isolation.required import check
from worker.jobs.trainer import WORK, explain, out_of_memory
from worker.processes import lifeline

LOAD, ASKED, REQUEST = "load.json", "asked", "request.json"
ASK, STOP = "ask", "stop"
Speak = Callable[[Event], None]


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Orders:
    """Requests in their order, and whether the present one is to be stopped."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[str] = queue.Queue()
        self.stopped = ""

    def hear(self, order: str) -> None:
        verb, _, request = order.partition(" ")
        if verb == ASK:
            self._waiting.put(request)
        elif verb == STOP:
            self.stopped = request

    def next(self) -> str:
        return self._waiting.get()


def main(arguments: list[str]) -> int:
    folder, say, orders = Path(arguments[0]), lifeline.speaker(), Orders()
    told = json.loads((folder / LOAD).read_text())
    isolation = confine(replace(of_job(folder, (WORK,)), devices=(), memory_bytes=told["memory_bytes"]))
    sys.stderr.write(f"held by {isolation.summary()}\n")
    lifeline.listen(orders.hear)
    try:
        check(isolation)
        desk = Desk(folder, told, say, orders)
        say(Event("ready", {}))
    except Exception as error:
        traceback.print_exc()
        say(Event("failed", {"error": explained(error).to_dict()}))
        return 1
    while True:
        desk.serve(orders.next())


def explained(error: Exception) -> RetortError:
    """The error as whoever asked should read it."""
    if out_of_memory(error):
        return OutOfMemoryHost(
            "The answer needs more memory than the student's process may have.",
            "Ask for fewer samples, or without the teacher; or have the operator raise RETORT_PREDICTOR_MEMORY_BYTES.",
        )
    return explain(error)


class Desk:
    """The loaded networks, and how a request is answered."""

    def __init__(self, folder: Path, told: dict[str, Any], say: Speak, orders: Orders) -> None:
        from distill.predictor import Predictor  # torch comes with it, after the process has shut itself in
        from distill.training.threads import settle

        sys.stderr.write(f"threads {settle()}\n")
        self._folder, self._say, self._orders = folder, say, orders
        self._report: dict[str, Any] = json.loads(Path(told["report"]).read_text(encoding="utf-8"))
        self._networks = Predictor.load(told["task"], Path(told["student"]), folder / WORK)
        self._unable: list[dict[str, str]] = []
        self._taught = False

    def serve(self, request: str) -> None:
        """Answer, or say what is wrong; a request that cannot be answered ends nothing."""
        try:
            self._answer(request)
        except Stopped:
            self._say(Event("failed", {"request": request, "error": None}))
        except Exception as error:
            if not isinstance(error, RetortError):
                traceback.print_exc()
            self._say(Event("failed", {"request": request, "error": explained(error).to_dict()}))

    def _answer(self, request: str) -> None:
        from distill.predictor import STUDENT
        from distill.tasks.prediction import Writing

        given = json.loads((self._folder / ASKED / request / REQUEST).read_text())
        names = [STUDENT]
        if given["teachers"]:
            self._teach(given["teachers"])
            names += list(self._networks.teachers)
        writing, said = Writing(**given["writing"]), dict[str, list[dict[str, Any]]]()

        def tell(position: int, network: str, part: str) -> None:
            if self._orders.stopped == request:
                raise Stopped
            self._say(Event("text", {"request": request, "input": position, "network": network, "text": part}))

        for each in self._networks.answers(given["samples"], names, writing, tell):
            said[each.network] = each.answers
            told = {"network": each.network, "answers": each.answers, "milliseconds": each.milliseconds}
            self._say(Event("answers", {"request": request} | told))
        agreement = {
            name: [self._networks.how.agreement(*pair) for pair in zip(said[STUDENT], said[name], strict=True)]
            for name in names[1:]
        }
        unable = self._unable if given["teachers"] else []
        self._say(Event("done", {"request": request, "agreement": agreement, "unable": unable}))

    def _teach(self, files: list[dict[str, str]]) -> None:
        """Load the teachers, the first time that somebody asks for them."""
        from distill.predictor import TeacherFile

        if self._taught:
            return
        columns = self._report.get("teachers") or [self._report.get("teacher")] * len(files)
        for file, column in zip(files, columns, strict=False):
            if column is None:
                reason = "the job's recipe has no answers of it"
                self._unable.append({"network": file["network"], "reason": reason})
                continue
            teacher = TeacherFile(column, Path(file["weights"]), file["label"])
            if teacher.unable:
                self._unable.append({"network": file["network"], "reason": teacher.unable})
            else:
                self._networks.add(file["network"], teacher)
        self._taught = True


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.exit(main(sys.argv[1:]))
