"""The cells of a study, each a run in a folder of its own; a finished cell is never run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill import recipes
from distill.control import Control
from distill.errors import Diverged, RetortError
from distill.run import run
from distill.selection import choose
from distill.training import checkpoint
from distill.types import Architecture, DatasetInput, DistillConfig, QCurve, RunSpec, StartInput, TeacherInput

MARK = "cell.json"  # written last: a folder with it is finished
BASELINE = "cross_entropy"


@dataclass(frozen=True)
class Variant:
    """A recipe with parameters, e.g. `feature_only?feature_loss=gram`."""

    recipe: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.recipe + ("?" + ",".join(f"{key}={value}" for key, value in self.parameters)) * bool(
            self.parameters
        )


@dataclass(frozen=True)
class Study:
    """What is varied (`variants`, `selections`, `seeds`) and what is held fixed."""

    dataset: DatasetInput
    teacher: TeacherInput
    student: Architecture
    variants: tuple[Variant, ...]
    selections: tuple[str, ...]
    seeds: tuple[int, ...]
    config: DistillConfig

    def cells(self) -> Iterator[Cell]:
        """Seed by seed, the baseline first, so that a study that is cut short still compares."""
        ordered = sorted(self.variants, key=lambda variant: variant.recipe != BASELINE)
        for seed in self.seeds:
            for variant in ordered:
                layered = recipes.get(variant.recipe).needs_layers
                for selection in self.selections if layered else ("",):
                    yield Cell(variant, selection, seed)

    def spec(self, cell: Cell) -> RunSpec:
        changes: dict[str, Any] = {"recipe": cell.variant.recipe, "recipe_parameters": dict(cell.variant.parameters)}
        changes |= {"seed": cell.seed} | ({"selection": cell.selection} if cell.selection else {})
        config = DistillConfig(**(self.config.model_dump() | changes))
        return RunSpec(config=config, student=self.student, dataset=self.dataset, teacher=self.teacher)


@dataclass(frozen=True)
class Cell:
    """One run. `selection` is empty for recipes without layers."""

    variant: Variant
    selection: str
    seed: int

    @property
    def name(self) -> str:
        readable = "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{self.variant}-{self.selection}")
        tail = hashlib.sha256(f"{self.variant}|{self.selection}".encode()).hexdigest()[:6]
        return f"seed{self.seed}-{readable.strip('-')}-{tail}"


def fingerprint(spec: RunSpec) -> str:
    """Changes with anything that changes a cell's numbers; the teacher counts by digest, not by path."""
    facts = spec.model_dump(exclude={"reuse_curves": True, "resume_from": True, "teacher": {"weights"}})
    facts["config"]["layers"] = spec.config.most_layers  # `auto` gives no other numbers where so many can be had
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_study(study: Study, folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every cell's outcome, from its mark where it is finished, else by running it."""
    cells = list(study.cells())
    outcomes = []
    for number, cell in enumerate(cells, start=1):
        outcome = run_cell(study, cell, folder)
        outcomes.append(outcome)
        say(f"[{number}/{len(cells)}] {cell.name}: {describe(outcome)}")
    return outcomes


def describe(outcome: dict[str, Any]) -> str:
    if outcome["status"] != "finished":
        return f"{outcome['status']}: {outcome['message']}"
    kept = " (finished before)" if outcome.get("kept") else ""
    kept += f" (the layers of {outcome['same_as']}, not run again)" if "same_as" in outcome else ""
    return f"{100 * outcome['accuracy']:.2f} % in {outcome['seconds']:.0f} s{kept}"


def run_cell(study: Study, cell: Cell, folder: Path, curves: Path | None = None) -> dict[str, Any]:
    """Run, continue or look up one cell. `curves`: where the teacher's Q curves are kept, a file a seed; default: in
    `folder`."""
    place, spec = folder / "cells" / cell.name, study.spec(cell)
    curve = (curves or folder / "curves") / f"seed{cell.seed}.json"
    found = _finished(place, spec)
    if found is not None:
        return found | {"kept": True}
    twin = _twin(study, cell, folder, curve)
    if twin is not None:
        _write(place / MARK, twin | {"fingerprint": fingerprint(spec)})
        return twin
    about: dict[str, Any] = {"fingerprint": fingerprint(spec), "recipe": str(cell.variant), "selection": cell.selection}
    about |= {"seed": cell.seed}
    try:
        outcome = about | {"status": "finished"} | _run(spec, place, curve)
    except RetortError as error:
        if error.fault == "system":
            raise  # the machine's trouble is not a result of the study
        status = "diverged" if isinstance(error, Diverged) else "failed"
        outcome = about | {"status": status, "message": error.message, "details": error.details}
    _write(place / MARK, outcome)
    return outcome


def _twin(study: Study, cell: Cell, folder: Path, curve_file: Path) -> dict[str, Any] | None:
    """The outcome of a finished cell of the same recipe and seed whose rule chose the same layers.

    The rule does nothing but choose, so training again would repeat the run (bit by bit where `deterministic`).
    """
    curve = _curve(curve_file)
    if not cell.selection or curve is None or study.config.teacher_layers is not None:
        return None
    parameters = study.config.selection_parameters
    for selection in study.selections:
        other = replace(cell, selection=selection)
        done = _finished(folder / "cells" / other.name, study.spec(other))
        if not done or not done.get("chosen"):
            continue
        chosen = list(choose(QCurve.from_dict(curve), cell.selection, len(done["chosen"]), parameters).chosen)
        if done["chosen"] == chosen and done["digests"]["q_curve"] == curve["digest"]:
            return done | {"selection": cell.selection, "same_as": done.get("same_as", selection)}
    return None


def _finished(place: Path, spec: RunSpec) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        outcome: dict[str, Any] = json.loads((place / MARK).read_text())
        # What failed may have been mended since.
        if outcome["fingerprint"] == fingerprint(spec) and outcome.get("status") != "failed":
            return outcome
    return None


def _run(spec: RunSpec, place: Path, curve_file: Path) -> dict[str, Any]:
    resume = _resumable(place, spec)
    spec = spec.model_copy(update={"resume_from": resume, "reuse_curves": _known(curve_file)})
    _write(place / "spec.json", {"fingerprint": fingerprint(spec)})
    frame: dict[str, Any] = {}
    layers: list[dict[str, Any]] = []
    for event in run(spec, place, Control()):
        if event.kind == "layers":
            frame = event.data
        elif event.kind == "layer_quality":
            layers.append(event.data)
        elif event.kind == "selection":
            _write(curve_file, QCurve.from_dict(frame | {"layers": layers, "chosen": [], "rule": ""}).to_dict())
    return _numbers(json.loads((place / "artifacts" / "report.json").read_text()))


def _resumable(place: Path, spec: RunSpec) -> str | None:
    """The newest checkpoint of an interrupted attempt at the very same cell."""
    with suppress(OSError, ValueError):
        if json.loads((place / "spec.json").read_text())["fingerprint"] == fingerprint(spec):
            return (
                str(checkpoint.existing(place / "checkpoints")[-1])
                if checkpoint.existing(place / "checkpoints")
                else None
            )
    return None


def _curve(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    return None


def _known(path: Path) -> tuple[dict[str, Any], ...]:
    curve = _curve(path)
    return () if curve is None else (curve,)


def _numbers(report: dict[str, Any]) -> dict[str, Any]:
    student, teacher, selection = report["student"], report["teacher"], report["selection"] or {}
    return {
        "accuracy": student["accuracy"]["value"],
        "interval": [student["accuracy"]["low"], student["accuracy"]["high"]],
        "n": student["accuracy"]["n"],
        "agreement": student["agreement"]["value"],
        "teacher_accuracy": teacher["accuracy"]["value"],
        "validation_accuracy": report["training"]["validation_accuracy"],
        "seconds": report["training"]["seconds"],
        "steps": report["training"]["steps"],
        "images_per_second": report["training"]["images_per_second"],
        "parameters": student["parameters"],
        "teacher_parameters": teacher["parameters"],
        "chosen": selection.get("chosen", []),
        "teacher_layers": selection.get("teacher_layers", []),
        "student_layers": selection.get("student_layers", []),
        "environment": report["environment"],
        "digests": report["digests"],
    }


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1))
    part.replace(path)


def teacher_of(weights: Path, architecture: Architecture, classes: int) -> TeacherInput:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return TeacherInput(architecture=architecture, weights=str(weights), num_classes=classes, digest=digest)


def train_teacher(
    dataset: DatasetInput, architecture: Architecture, config: DistillConfig, folder: Path,
    start: StartInput | None = None,
) -> Path:  # fmt: skip
    """Train a teacher on the labels, or find the one that an earlier attempt trained. The path of its weights.

    `start`: the weights that it begins with; None: it is newly made."""
    place = folder / "teacher"
    weights = place / "artifacts" / "student.safetensors"
    settings = DistillConfig(**(config.model_dump() | {"recipe": BASELINE, "recipe_parameters": {}, "seed": 0}))
    spec = RunSpec(config=settings, student=architecture, dataset=dataset, start=start)
    if _finished(place, spec) is None:
        resume = _resumable(place, spec)
        _write(place / "spec.json", {"fingerprint": fingerprint(spec)})
        for _ in run(spec.model_copy(update={"resume_from": resume}), place, Control()):
            pass
        _write(place / MARK, {"fingerprint": fingerprint(spec)})
    return weights


def comparisons(outcomes: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Seed -> accuracy of the cross-entropy baseline."""
    return {
        row["seed"]: row["accuracy"] for row in outcomes if row["recipe"] == BASELINE and row["status"] == "finished"
    }
