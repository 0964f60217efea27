"""What the long study has done: one JSON line a run, appended as it ends."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.study.plan import Run, tuning

Line = dict[str, Any]
#: Of a run's outcome. A trial of the tuning keeps no figure of the test set.
KEPT = (
    "status", "message", "accuracy", "interval", "agreement", "validation_accuracy", "teacher_accuracy", "seconds",
    "steps", "images_per_second", "parameters", "teacher_parameters", "chosen", "teacher_layers", "student_layers",
)  # fmt: skip
OF_THE_TEST_SET = ("accuracy", "interval", "agreement", "teacher_accuracy")


class Ledger:
    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.lines: dict[str, Line] = {line["key"]: line for line in map(json.loads, lines)}

    def __contains__(self, run: Run) -> bool:
        return run.key in self.lines

    def add(self, run: Run, outcome: Line) -> None:
        kept = {name: outcome[name] for name in KEPT if outcome.get(name) is not None}
        if run.stage == "tuning":
            kept = {name: value for name, value in kept.items() if name not in OF_THE_TEST_SET}
        self.put({"key": run.key, "run": asdict(run), **kept})

    def put(self, line: Line) -> None:
        line |= {"commit": _commit(), "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "machine": _machine()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines[line["key"]] = line

    def curve(self, pair: str) -> list[Line]:
        """The Q curve of a pair's teacher at seed 0, a line a layer; [] before a run has scored it."""
        line = self.lines.get(f"curve {pair}")
        return list(line["layers"]) if line else []

    def factor(self, run: Run) -> float | None:
        """Times the published peak: the trial of highest validation accuracy, the first of equals. None before all of
        its recipe's trials have ended, or where all diverged."""
        trials = tuning(run)
        done = [self.lines[trial.key] for trial in trials if trial in self]
        if len(done) < len(trials):
            return None
        finished = [line for line in done if line["status"] == "finished"]
        best = max(finished, key=lambda line: line["validation_accuracy"], default=None)
        return None if best is None else float(best["run"]["factor"])


def _commit() -> str:
    return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores"
