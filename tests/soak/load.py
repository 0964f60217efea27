"""Mixed load: jobs of several kinds, requests to them, readers; every POST until it is answered, by one key."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx

from store.states import TERMINAL
from tests.slowness import within

#: Kind, share of the jobs, and the seed that asks `tests.soak.program` for it.
MIX = (("tiny", 0.6, 0), ("steady", 0.28, 1), ("refused", 0.05, 2), ("crashes", 0.04, 3), ("real", 0.03, 7))
MOST_WAITING = 40
READS = ("/jobs?limit=20", "/system", "/metrics", "/webhooks", "/readyz")


class Load(threading.Thread):
    """`accepted`: job -> kind, of what was answered with 202. `urls`: the first API is spared, others are killed."""

    def __init__(self, urls: list[str], body: dict[str, Any], per_second: float) -> None:
        super().__init__(daemon=True, name="load")
        self.accepted: dict[str, str] = {}
        self.asked: dict[str, set[str]] = {}
        self.answers: Counter[str] = Counter()
        self.latencies: list[float] = []
        self._urls, self._body, self._pause = urls, body, 1 / per_second
        self._http = httpx.Client(timeout=within(30))
        self._random, self._ended = random.Random(0), threading.Event()
        self.broken: list[str] = []

    def run(self) -> None:
        while not self._ended.wait(self._pause * self._random.uniform(0.5, 1.5)):
            self._random.choice((self._submit, self._submit, self._read, self._read, self._follow, self._ask))()

    def end(self) -> None:
        self._ended.set()
        self.join(60)
        self._http.close()

    def _submit(self) -> None:
        waiting = self._get("/metrics")
        if waiting is None or _depth(waiting.text) >= MOST_WAITING:
            return
        kind, _, seed = self._random.choices(MIX, [share for _, share, _ in MIX])[0]
        config = self._body["config"] | {"seed": seed}
        body = self._body | {"config": config, "max_attempts": 3 if kind == "crashes" else 30, "name": kind}
        body["priority"] = self._random.randint(0, 3)
        headers = {"Idempotency-Key": uuid4().hex}
        answer = self._until_answered("POST", "/jobs", json=body, headers=headers)
        if answer is not None and answer.status_code == 202:
            self.accepted[answer.json()["id"]] = kind

    def _until_answered(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        """Again after whatever a killed API leaves: no answer, half of one, 503."""
        deadline = time.monotonic() + within(60)
        while time.monotonic() < deadline:
            answer = self._send(method, path, **given)
            if answer is not None and answer.status_code < 500:
                return answer
            time.sleep(0.2)
        self.broken.append(f"{method} {path} was not answered within 60 s")
        return None

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        started = time.perf_counter()
        try:
            answer = self._http.request(method, self._random.choice(self._urls) + path, **given)
        except httpx.TransportError:
            self.answers["none"] += 1
            return None
        self.latencies.append(time.perf_counter() - started)
        self.answers[str(answer.status_code)] += 1
        if answer.status_code == 500:
            self.broken.append(f"{method} {path}: {answer.text[:300]}")
        return answer

    def _get(self, path: str) -> httpx.Response | None:
        answer = self._send("GET", path)
        return answer if answer is not None and answer.status_code == 200 else None

    def _read(self) -> None:
        self._get(self._random.choice(READS))

    def _any_job(self) -> str | None:
        recent = list(self.accepted)[-MOST_WAITING:]
        return self._random.choice(recent) if recent else None

    def _follow(self) -> None:
        """What a dashboard asks of one job, and its events as a stream for a moment."""
        job_id = self._any_job()
        if job_id is None:
            return
        for noun in ("", "/attempts", "/logs?tail=20", "/metrics", "/artifacts"):
            self._get(f"/jobs/{job_id}{noun}")
        headers, until = {"Accept": "text/event-stream"}, time.monotonic() + 1
        try:
            url = f"{self._urls[0]}/jobs/{job_id}/events"
            with self._http.stream("GET", url, headers=headers, timeout=2) as stream:
                for _ in stream.iter_lines():
                    if time.monotonic() > until:
                        return
        except httpx.TransportError:
            self.answers["stream ended"] += 1

    def _ask(self) -> None:
        """Cancel, stop, pause and resume: where the job's status allows it."""
        job_id = self._any_job()
        found = job_id and self._get(f"/jobs/{job_id}")
        if not job_id or not found or found.json()["status"] in TERMINAL:
            return
        action = self._random.choice(("cancel", "stop", "pause", "pause"))
        if self._until_answered("POST", f"/jobs/{job_id}/{action}"):
            self.asked.setdefault(job_id, set()).add(action)
        if action == "pause":
            time.sleep(0.5)
            self.resume(job_id)

    def resume(self, job_id: str) -> None:
        self._until_answered("POST", f"/jobs/{job_id}/resume")


def _depth(text: str) -> float:
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith("retort_queue_depth ")), 0.0)
