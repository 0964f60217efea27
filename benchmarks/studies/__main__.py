"""make bench-studies: `python -m benchmarks.studies [--trials 1000] [--rows 10000] [--write FILE]`.

Starts a Postgres. Seeds a study with so many trials in SQL, steps it through 100 more, whose jobs end at once by the
writes that a worker would make, and times each step (an ended trial told, the next one asked for and queued) as a
worker makes it, which remembers what has ended; then asks for the table of a study with so many trials: a first time,
and again where nothing has changed. Everything it started is gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.resources.studies.kept_tables import KEPT
from distill.search import strategies
from store.database import Database
from store.settings import Settings
from tests.api.conftest import BASE_URL
from tests.services import postgres
from tests.store.support import migrated
from tests.studies.support import SPACE, accuracy_of, all_trials, end, new_study, stepped
from worker.studies.memory import Memory

SPACE_OF_TWO = [*SPACE, {"pointer": "/config/batch_size", "low": 8, "high": 512, "integer": True}]
SEED_ROWS = text("""
INSERT INTO study_trials (study_id, number, configuration, seed, purpose, assignment, digest, state, "values", reported,
                          marks, seconds, created_at, finished_at)
SELECT :study, n, n / :seeds, n % :seeds, 'search',
       jsonb_build_object('/config/learning_rate', 0.0001 * (n / :seeds + 1),
                          '/config/batch_size', 8 + n / :seeds % 500),
       md5((n / :seeds)::text), 'succeeded',
       jsonb_build_object('accuracy', 0.5 + 0.4 * random(), 'bytes', 60000 + n % 1000, 'parameters', 15000,
                          'flops', 1000000, 'latency_ms', 1 + random(), 'seconds', 3 + random()),
       jsonb_build_object('1', 0.3 * random(), '3', 0.6 * random(), '9', 0.9 * random()),
       jsonb_build_object('completed_rung_0', 0.3 * random(), 'completed_rung_1', 0.6 * random()), 3.5, now(), now()
FROM generate_series(0, :rows - 1) AS n
""")
STEPS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--strategies", default="random,tpe,asha", help="comma between")
    parser.add_argument("--write", type=Path, help="append the figures to this file")
    given = parser.parse_args()
    with TemporaryDirectory() as name, postgres.running(Path(name)) as server:
        lines = list[str]()
        for line in chain([_head()], _steps(server, given), _table(server, given, Path(name))):
            print(line, flush=True)
            lines.append(line)
    if given.write:
        with given.write.open("a") as file:
            file.write("\n" + "\n".join(lines) + "\n")


def _head() -> str:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    when = datetime.now(UTC).date().isoformat()
    machine = f"{cores} cores, load {load:.1f} before it began, Python {platform.python_version()}"
    return f"{when}, {machine}.\n\n| What | p50 ms | p95 ms | most ms | p95 ms of our CPU |\n|---|---|---|---|---|"


#: Seconds by the clock, and of this process's processor: on a machine that others use only the latter is the code's.
Span = tuple[float, float]


def _row(what: str, spans: Sequence[Span]) -> str:
    clock, processor = (sorted(1000 * each for each in column) for column in zip(*spans, strict=True))
    p95, cpu = (statistics.quantiles(column, n=20)[-1] for column in (clock, processor))
    return f"| {what} | {statistics.median(clock):.1f} | {p95:.1f} | {clock[-1]:.1f} | {cpu:.1f} |"


def _timed(call: Callable[[], object]) -> Span:
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processor


def _steps(server: postgres.Postgres, given: argparse.Namespace) -> Iterator[str]:
    for strategy in filter(None, given.strategies.split(",")):
        strategies.registry.check(strategy)
        with migrated(server.new_database()) as database:
            seconds = _study(database, strategy, given.trials)
        yield _row(f"{strategy}, a step with {given.trials} trials there already, two at once, of {STEPS}", seconds)


def _study(database: Database, strategy: str, number: int) -> list[Span]:
    """Every step that told a trial and queued the next, but for the first: a worker that has just begun reads all."""
    budget = {"trials": number + 2 * STEPS, "minutes": None, "parallel": 2}
    study_id, memory = new_study(database, strategy=strategy, space=SPACE_OF_TWO, budget=budget), Memory()
    _seed(database, study_id, number, seeds=1)
    stepped(database, study_id, memory=memory)
    seconds = list[Span]()
    while len(seconds) < STEPS:
        (first, *_) = all_trials(database, study_id, "active")
        end(database, first.job_id or "", accuracy_of(first))
        seconds.append(_timed(lambda: stepped(database, study_id, memory=memory)))
    return seconds


def _seed(database: Database, study_id: str, rows: int, seeds: int) -> None:
    with database.write() as session:
        session.execute(SEED_ROWS, {"study": study_id, "rows": rows, "seeds": seeds})
        session.execute(text("ANALYZE study_trials"))


def _table(server: postgres.Postgres, given: argparse.Namespace, folder: Path) -> Iterator[str]:
    url = server.new_database()
    with migrated(url) as database:
        study_id = new_study(database, seeds=[0, 1], space=SPACE_OF_TWO)
        _seed(database, study_id, given.rows, seeds=2)
        app = create_app(Settings(data_dir=folder / "data", database_url=url))
        with TestClient(app, base_url=BASE_URL) as client:
            yield _row(
                f"table of {given.rows} trials, a first time", _asked(client, f"/studies/{study_id}/table", True)
            )
            for path in ("table", "table?format=csv", "pareto", "trials?limit=200"):
                yield _row(f"{path} of {given.rows} trials, again", _asked(client, f"/studies/{study_id}/{path}"))


def _asked(client: TestClient, path: str, anew: bool = False, times: int = 16) -> list[Span]:
    """`anew`: as after an event of the study."""
    client.get(path).raise_for_status()
    spans = list[Span]()
    for _ in range(times):
        if anew:
            KEPT.forget()
        spans.append(_timed(lambda: client.get(path).raise_for_status()))
    return spans


if __name__ == "__main__":
    main()
