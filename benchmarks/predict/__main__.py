"""`python -m benchmarks.predict`: how soon `POST /jobs/{id}/predict` answers, by task, in `retort serve` here.

The tiny students of `tests/tasks/tiny` are trained over HTTP, one a task. Then each is asked about one sample: once
cold (a process starts, loads torch and the student), and REQUESTS times warm, alone and with its teacher. Times are
those of the client, loopback included. `--hold` leaves the service there until Ctrl-C, to look at it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from client.api import Retort
from client.predictions import Sample
from distill import tasks
from tests.embedded.service import Service

WARM_SECONDS = "600"
NEW_TOKENS = 16


@contextmanager
def serving(folder: Path) -> Iterator[Retort]:
    service = Service(folder / "data", RETORT_PREDICTORS="1", RETORT_PREDICT_WARM_SECONDS=WARM_SECONDS)
    try:
        with Retort(service.url) as retort:
            print(f"{service.url} is there", flush=True)
            yield retort
    finally:
        service.end()


def finished(retort: Retort, name: str, folder: Path) -> str:
    """A job of the task whose student can be asked."""
    house = import_module(f"tests.tasks.tiny.{name}").make(folder)
    given = house.teacher.architecture
    teacher = retort.add_teacher(house.teacher.weights, given.name, given.options)
    dataset = registered(retort, name, house.dataset)
    config = {"recipe": "logit", "epochs": 1, "batch_size": 16, "learning_rate": 3e-3}
    config |= {"device": "cpu", "precision": "fp32"} | house.settings
    student = house.student.model_dump()
    job = retort.submit(dataset=dataset, teacher=teacher["id"], student=student, config=config, name=name)
    ended = retort.wait(job["id"])
    if ended["status"] != "succeeded":
        raise SystemExit(f"{name}: {ended['status']}: {ended['error']}")
    return ended["id"]


def registered(retort: Retort, name: str, dataset: Any) -> str:
    if dataset.kind == "named":
        return str(retort.named_dataset(dataset.name)["id"])
    files = {role: Path(path) for role, path in dataset.files.items()}
    whole = files.pop("all", None) or files.pop("file", None)
    return str(retort.add_dataset(whole, **files, task=name)["id"])


def sample(name: str, folder: Path) -> Sample:
    if tasks.spec(name).modality == "texts":
        return "what does the cat do ?"
    path = folder / "picture.png"
    Image.effect_noise((320, 240), 80).convert("RGB").save(path)
    return path


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def measured(retort: Retort, job: str, name: str, given: Sample, requests: int) -> list[str]:
    how = {"max_tokens": NEW_TOKENS} if tasks.spec(name).writes else {}
    cold = timed(lambda: retort.predict(job, [given], **how))
    row = [name, f"{cold / 1e3:.1f} s"]
    for teacher in (False, True):
        asked = partial(retort.predict, job, [given], teacher=teacher, **how)
        asked()  # the teacher is loaded by the first that asks for it
        times = sorted(timed(asked) for _ in range(requests))
        row += [f"{statistics.median(times):.0f}", f"{times[int(0.95 * (len(times) - 1))]:.0f}"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__)
    parser.add_argument("--requests", type=int, default=40, help="Warm requests of each kind.")
    parser.add_argument("--tasks", nargs="*", default=[n for n in tasks.names() if tasks.has(n, "predicting")])
    parser.add_argument("--write", type=Path, help="File for the table.")
    parser.add_argument("--hold", action="store_true", help="Leave the service there until Ctrl-C.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, serving(Path(made)) as retort:
        jobs = dict[str, str]()
        for name in given.tasks:
            folder = Path(made) / name
            folder.mkdir()
            jobs[name] = finished(retort, name, folder)
            print(f"{name}: {jobs[name]}", flush=True)
        rows = [measured(retort, job, name, sample(name, Path(made)), given.requests) for name, job in jobs.items()]
        text = table(rows, given.requests)
        print(text, flush=True)
        if given.write:
            given.write.write_text(text, encoding="utf-8")
        while given.hold:
            time.sleep(1)


def table(rows: list[list[str]], requests: int) -> str:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    head = ["task", "cold", "p50, ms", "p95, ms", "with teacher p50, ms", "p95, ms"]
    lines = ["| " + " | ".join(each) + " |" for each in (head, ["---"] * len(head), *rows)]
    return "\n".join(
        [
            "# How soon a finished student answers",
            "",
            f"`python -m benchmarks.predict --requests {requests}` on {cores} CPU cores at a load of {load:.1f}: tiny",
            f"students, one sample, one request at a time; texts of at most {NEW_TOKENS} tokens.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
