"""The long study (protocol.md), resumable:

    python -m benchmarks.study.run --cifar FOLDER --clone WEIGHTS --folder OUT --budget-hours H

FOLDER holds `train.parquet` and `test.parquet` of CIFAR-10; without it the pairs on CIFAR-10 are left out, and named.
OUT keeps teachers and checkpoints: an interrupted run goes on from its last one. The lines of what has ended go to
`benchmarks/results/study-long.jsonl` and the tables to `study-long.md`, after every run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.study import published
from benchmarks.study.ledger import Ledger
from benchmarks.study.pairs import PAIRS, Pair
from benchmarks.study.plan import Run, pair_of, planned, tuning
from benchmarks.study.written import document
from distill.modalities.images import open_dataset
from distill.studying.grid import Cell, Study, Variant, run_cell, teacher_of, train_teacher
from distill.types import DatasetInput, DistillConfig, StartInput, TeacherInput

#: What the protocol fixes for every run, teachers included.
COMMON: dict[str, Any] = {"batch_size": 128, "compile": False, "device": "cpu", "quality_samples": 1000}
STUDENTS: dict[str, Any] = {"layers": 3}
RESULTS = Path("benchmarks/results")
#: Committed, so that all days of the study have the same teachers.
TEACHERS = Path("benchmarks/study/teachers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--teachers", type=Path, default=TEACHERS, help="Folder of the teachers that reached their level."
    )
    parser.add_argument(
        "--clone", type=Path, help="Folder of the published weights that teachers begin with (published.py)."
    )
    parser.add_argument("--budget-hours", type=float, required=True)
    parser.add_argument("--pairs", nargs="+", choices=[pair.name for pair in PAIRS], help="Only these today.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of study-long.jsonl and study-long.md.")
    given = parser.parse_args()
    ledger = Ledger(given.results / "study-long.jsonl")
    driver = Driver(given.folder, given.cifar, ledger, given.teachers, given.clone, given.pairs)
    for pair in driver.left_out:
        print(f"Left out: {pair}, since --cifar is not given or --pairs names others.", flush=True)
    end = time.monotonic() + 3600 * given.budget_hours
    while time.monotonic() < end and (run := driver.next()) is not None:
        print(driver.ran(run), flush=True)
        (given.results / "study-long.md").write_text(document(driver.ledger), encoding="utf-8")


class Driver:
    """Runs the plan in its order, each run once."""

    def __init__(
        self, folder: Path, cifar: Path | None, ledger: Ledger, teachers: Path, clone: Path | None = None,
        pairs: Collection[str] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.ledger, self.teachers, self.clone = folder, ledger, teachers, clone
        found = {pair.name: pair.dataset(cifar) if pairs is None or pair.name in pairs else None for pair in PAIRS}
        self.datasets = {name: pinned(dataset) for name, dataset in found.items() if dataset is not None}
        self.left_out = [name for name, dataset in found.items() if dataset is None]
        self._teachers: dict[str, TeacherInput] = {}

    def next(self) -> Run | None:
        """The first run of the plan that has not ended, or the trial that it waits for."""
        for run in planned({name: self.candidates(name) for name in self.datasets}):
            if run.pair not in self.datasets or run in self.ledger:
                continue
            factor = self.ledger.factor(run)
            if factor is not None:
                return replace(run, factor=factor)
            if waiting := [trial for trial in tuning(run) if trial not in self.ledger]:
                return waiting[0]
            self.ledger.add(run, {"status": "diverged", "message": "Every learning rate of its tuning diverged."})
        return None

    def ran(self, run: Run) -> str:
        pair = pair_of(run)
        started = time.monotonic()
        outcome = self._outcome(run, pair)
        self.ledger.add(run, outcome)
        self._keep_curve(pair)
        told = outcome.get("message") or f"validation {100 * outcome['validation_accuracy']:.2f} %"
        what = f"{run.stage} {run.pair} {run.size} {run.arm} seed {run.seed} x{run.factor:.2f}"
        return f"{what}: {told}, {time.monotonic() - started:.0f} s"

    def _outcome(self, run: Run, pair: Pair) -> dict[str, Any]:
        cell = Cell(Variant(run.arm.recipe, run.arm.parameters), run.arm.selection, run.seed)
        study = Study(
            dataset=self.datasets[pair.name], teacher=self.teacher(pair), student=pair.student_architecture(run.size),
            variants=(cell.variant,), selections=(cell.selection,), seeds=(run.seed,), config=self._config(run, pair),
        )  # fmt: skip
        return run_cell(study, cell, self._place(pair) / run.key, curves=self._place(pair) / "curves")

    def _config(self, run: Run, pair: Pair) -> DistillConfig:
        rate = {"learning_rate": pair.peak * (run.factor or 1.0), "epochs": run.epochs}
        return DistillConfig.model_validate(COMMON | STUDENTS | dict(pair.settings) | rate | dict(run.arm.settings))

    def _place(self, pair: Pair) -> Path:
        return self.folder / pair.name

    def candidates(self, pair: str) -> list[str]:
        """The teacher's layers, where a run has scored them."""
        return [layer["name"] for layer in self.ledger.curve(pair)]

    def _keep_curve(self, pair: Pair) -> None:
        path = self._place(pair) / "curves" / "seed0.json"
        if path.exists() and not self.ledger.curve(pair.name):
            self.ledger.put({"key": f"curve {pair.name}", "layers": json.loads(path.read_text())["layers"]})

    def teacher(self, pair: Pair) -> TeacherInput:
        """The pair's teacher: of the folder of teachers, else trained: for twice as long where it misses its level,
        and again."""
        if pair.name not in self._teachers:
            kept = self.teachers / f"{pair.data}-{pair.teacher.split(':')[1].replace('?', '-')}.safetensors"
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._taught(pair), kept)
            self._teachers[pair.name] = teacher_of(kept, pair.teacher_architecture, 10)
        return self._teachers[pair.name]

    def _taught(self, pair: Pair) -> Path:
        start = self._start(pair)
        for epochs in (pair.teacher_epochs, 2 * pair.teacher_epochs, 4 * pair.teacher_epochs):
            place = self.folder / "teachers" / f"{pair.data}-{pair.teacher_architecture.name.split(':')[1]}-{epochs}"
            settings = {"precision": "bf16", "channels_last": True, "augmentation": "crop_flip", "epochs": epochs}
            rate = {} if pair.teacher_peak is None else {"learning_rate": pair.teacher_peak}
            config = DistillConfig.model_validate(COMMON | settings | rate)
            weights = train_teacher(self.datasets[pair.name], pair.teacher_architecture, config, place, start)
            report = json.loads((weights.parent / "report.json").read_text())
            accuracy = report["student"]["accuracy"]["value"]
            print(f"Teacher of {pair.name}, {epochs} epochs: {100 * accuracy:.2f} %", flush=True)
            if accuracy >= pair.level:
                return weights
        raise SystemExit(
            f"The teacher of {pair.name} stays below {100 * pair.level:.0f} %: the protocol wants another."
        )

    def _start(self, pair: Pair) -> StartInput | None:
        if pair.begun is None:
            return None
        if self.clone is None:
            raise SystemExit(f"The teacher of {pair.name} begins with published weights: name their folder, --clone.")
        weights = published.teacher(self.clone, pair.begun, self.folder / "published" / f"{pair.begun}.safetensors")
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        return StartInput(
            label=f"published {pair.begun}", architecture=pair.teacher_architecture, weights=str(weights), digest=digest
        )


def pinned(dataset: DatasetInput) -> DatasetInput:
    """With the digest of what is in the files, so that runs on other contents do not count."""
    return dataset.model_copy(update={"digest": open_dataset(dataset).digest})


if __name__ == "__main__":
    main()
