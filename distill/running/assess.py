"""The evaluating phase: teacher, student and comparison on the untouched test set, and the report."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.curve import reading
from distill.evaluate import Predictions, accuracy, difference, predictions, price
from distill.export.student import header
from distill.models import save
from distill.report import SCHEMA, environment, verdict
from distill.running.prepare import Network, Prepared
from distill.training import checkpoint
from distill.training.loop import Outcome
from distill.types import ComparisonInput, QCurve


def assess(prepared: Prepared, network: Network, teacher: Predictions | None) -> tuple[Predictions, dict[str, Any]]:
    """A network's answers on the test set, and its column of the report."""
    loader = prepared.plain_loader("test", prepared.test, network)
    found = predictions(network.module, loader, prepared.device)
    about: dict[str, Any] = {
        "architecture": network.architecture.model_dump(),
        "recipe": network.recipe,
        "preprocessing": asdict(network.preprocessing),
    }
    right = accuracy(found, prepared.dataset.classes, teacher)
    size = network.bytes if network.bytes is not None else _saved_bytes(prepared, network, right["accuracy"])
    costs = price(network.module, network.one(prepared.device), size)
    more = prepared.assess_further(network, found)
    return found, about | right | more | costs


def _saved_bytes(prepared: Prepared, network: Network, share: dict[str, Any]) -> int:
    """Size of the weights' file as it will be packaged, its header included."""
    classes, how = prepared.dataset.classes, network.preprocessing
    told = header(network.architecture, classes, how, network.recipe, share, prepared.native)
    with tempfile.TemporaryDirectory() as folder:
        if network.tokens is not None:
            from distill.models.language import save_folder

            save_folder(network.module, network.tokens, Path(folder), told)
            return (Path(folder) / "model.safetensors").stat().st_size
        path = Path(folder) / "student.safetensors"
        save(network.module, path, told)
        return path.stat().st_size


def evaluate(
    prepared: Prepared, outcome: Outcome, resolved: dict[str, Any], selection: dict[str, Any] | None,
    curve: QCurve | None,
) -> dict[str, Any]:  # fmt: skip
    """The report. Reads the test set, once for each network."""
    taught, teacher = (None, None)
    if prepared.teacher is not None:
        taught, teacher = assess(prepared, prepared.teacher, None)
    found, student = assess(prepared, prepared.student, taught)
    compared, comparison = (None, None)
    if prepared.comparison is not None:
        compared, comparison = assess(prepared, prepared.comparison, taught)
    given = prepared.spec.comparison
    return {
        "schema": SCHEMA,
        "title": f"{prepared.student.architecture.name} by {prepared.config.recipe} on {prepared.dataset.name}",
        "recipe": prepared.config.recipe,
        "student": student,
        "teacher": teacher,
        "comparison": None if comparison is None or given is None else _labelled(comparison, given),
        "verdict": verdict(difference(found, compared) if compared else None, given.label if given else ""),
        "against_teacher": difference(found, taught).to_dict() if taught else None,
        "selection": selection,
        "q_curve": {"digest": curve.digest, "reused": curve.reused, "reading": reading(curve)} if curve else None,
        "training": {
            "ending": outcome.ending,
            "steps": outcome.step,
            "epochs": outcome.epoch,
            "seconds": outcome.seconds,
            "images_per_second": outcome.images_per_second,
            "validation_accuracy": outcome.validation_accuracy,
            "best_validation_accuracy": outcome.best_validation_accuracy,
            "head": outcome.head.to_dict() if outcome.head else None,
        },
        "seeds": [prepared.config.seed],
        "configuration": resolved["config"],
        "reasons": resolved["reasons"],
        "dataset": _dataset(prepared),
        "digests": _digests(prepared, curve),
        "environment": environment(prepared.device, resolved["config"]["precision"]),
        "notes": [*prepared.dataset.notes, *_notes(prepared, outcome)],
    }


def _labelled(column: dict[str, Any], given: ComparisonInput) -> dict[str, Any]:
    return column | {"label": given.label, "job_id": given.job_id}


def _dataset(prepared: Prepared) -> dict[str, Any]:
    data = prepared.dataset
    return {
        "name": data.name,
        "classes": len(data.classes),
        "train": len(prepared.train),
        "validation": len(prepared.validation),
        "test": len(prepared.test),
    } | prepared.about_data()


def _digests(prepared: Prepared, curve: QCurve | None) -> dict[str, str]:
    """sha256: the dataset's contents, the teacher's file, the student's tensors (`checkpoint.digest` of the sorted
    state dict), and the key of the Q curve."""
    state = prepared.student.module.state_dict()
    return {
        "dataset": prepared.dataset.digest,
        "teacher": prepared.teacher.digest if prepared.teacher else "",
        "student": checkpoint.digest({name: state[name] for name in sorted(state)}),
        "q_curve": curve.digest if curve else "",
    }


def _notes(prepared: Prepared, outcome: Outcome) -> list[str]:
    notes = ["The test set was read once, after training; every choice was made on validation samples."]
    if outcome.ending == "stopped":
        notes.append("Training was stopped early; this is the best student by validation until then.")
    if prepared.config.test_limit is not None:
        notes.append(f"Only {len(prepared.test)} of {len(prepared.dataset.test)} test samples were used (test_limit).")
    if prepared.spec.comparison is not None:
        notes.append("The comparison is fair if it was trained on the same data for the same number of steps.")
    return notes
